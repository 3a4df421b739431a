// A line of the last values, with a scale that is round.

export class Plot {
  #canvas;

  constructor(canvas, most) {
    this.#canvas = canvas;
    this.most = most;
  }

  draw(values) {
    const canvas = this.#canvas;
    const box = canvas.getBoundingClientRect();
    if (!box.width) return;
    const scale = devicePixelRatio;
    const [width, height] = [Math.round(box.width * scale), Math.round(box.height * scale)];
    if (canvas.width !== width || canvas.height !== height)
      Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const colours = getComputedStyle(canvas);
    const top = nice(Math.max(...values, 1));
    const left = 40 * scale;
    const y = (value) => height - 8 * scale - (value / top) * (height - 20 * scale);
    context.font = `${11 * scale}px system-ui, sans-serif`;
    context.lineWidth = scale;
    for (const value of [0, top / 2, top]) {
      context.strokeStyle = colours.getPropertyValue("--line");
      context.fillStyle = colours.getPropertyValue("--quiet");
      context.beginPath();
      context.moveTo(left, y(value));
      context.lineTo(width, y(value));
      context.stroke();
      context.fillText(`${value}`, 2 * scale, y(value) + 4 * scale);
    }
    context.strokeStyle = colours.getPropertyValue("--accent");
    context.lineWidth = 2 * scale;
    context.lineJoin = "round";
    context.beginPath();
    values.forEach((value, at) => {
      context.lineTo(left + ((width - left) * at) / (this.most - 1), y(value));
    });
    context.stroke();
  }
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((each) => each * power >= value);
}
