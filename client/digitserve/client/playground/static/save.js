// Files for whoever looks at the page to keep.

const SCALE = 2;

/** The drawing, dark ink on light paper. */
export function savePng({ side, grey }) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const image = context.createImageData(side, side);
  grey.forEach((ink, at) => {
    image.data.fill(255 - ink, 4 * at, 4 * at + 3);
    image.data[4 * at + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  const large = document.createElement("canvas");
  large.width = large.height = SCALE * side;
  large.getContext("2d").drawImage(canvas, 0, 0, SCALE * side, SCALE * side);
  large.toBlob((blob) => save(blob, "drawing.png"), "image/png");
}

export function saveReport(report) {
  const text = JSON.stringify(report, null, 1);
  save(new Blob([text], { type: "application/json" }), "digitserve-report.json");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
