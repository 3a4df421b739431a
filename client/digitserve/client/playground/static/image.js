// 28x28 grey bytes on a canvas, as they are.

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;

export function paint(canvas, grey) {
  const image = new ImageData(SIDE, SIDE);
  for (let at = 0; at < PIXELS; at += 1) {
    image.data.fill(grey[at], 4 * at, 4 * at + 3);
    image.data[4 * at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function blank(canvas) {
  canvas.getContext("2d").clearRect(0, 0, SIDE, SIDE);
}
