// What the page and the bridge say to each other; the bridge's side is wire.py.

export const VERSION = 1;
export const DRAWING = 1;
export const PHOTO = 2;
export const UNCENTRED = 1;
export const NEGATIVE = 2;

const HEADER_BYTES = 12;

/** Writes a message: `grey` holds width * height bytes, row by row. */
export function message(kind, flags, frame, width, height, grey) {
  const bytes = new Uint8Array(HEADER_BYTES + grey.length);
  const header = new DataView(bytes.buffer);
  header.setUint8(0, VERSION);
  header.setUint8(1, kind);
  header.setUint8(2, flags);
  header.setUint32(4, frame, true);
  header.setUint16(8, width, true);
  header.setUint16(10, height, true);
  bytes.set(grey, HEADER_BYTES);
  return bytes;
}

/** The bytes of a text in base64. */
export function unpacked(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

export function packed(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
