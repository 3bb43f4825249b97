/** Zooming into a picture, and moving it: by wheel, two fingers, double click or tap, and keys. */

// At least; else each pixel as two by two.
const MOST = 8;
const STEP = 1.5;
const PAN_STEP = 80;
const TAP_MS = 300;
const TAP_PX = 30;

/** `stage` is the window on the picture; `onzoom(scale)` is told of each change, 1 being all of the picture. */
export function zooming(stage, onzoom) {
  let image = null;
  let [scale, x, y] = [1, 0, 0];
  const fingers = new Map();
  let lastTap = { at: 0, x: 0, y: 0 };
  stage.addEventListener("wheel", onwheel, { passive: false });
  stage.addEventListener("pointerdown", ondown);
  stage.addEventListener("pointermove", onmove);
  for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, onup);
  stage.addEventListener("dblclick", (event) => isPicture(event) && toggle(event));
  new ResizeObserver(draw).observe(stage);
  return { reset, take, onkey, zoom: (by) => zoomTo(scale * (by > 0 ? STEP : 1 / STEP)), get scale() { return scale; } };

  /** Shows all of another picture. */
  function reset(element) {
    image = element;
    [scale, x, y] = [1, 0, 0];
    fingers.clear();
    draw();
  }

  /** Goes on with this element in place of the one before: the same picture, sharper. */
  function take(element) {
    image = element;
    draw();
  }

  function onkey(key) {
    const moves = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (key === "+" || key === "=") zoomTo(scale * STEP);
    else if (key === "-") zoomTo(scale / STEP);
    else if (key === "0") zoomTo(1);
    else if (key in moves && scale > 1) {
      x += moves[key][0] * PAN_STEP;
      y += moves[key][1] * PAN_STEP;
      draw();
    } else return false;
    return true;
  }

  /** Zooms so that what lies at `point`, from the middle of the stage, stays there. */
  function zoomTo(next, point = { x: 0, y: 0 }) {
    if (!image) return;
    const most = Math.max(MOST, (2 * image.naturalWidth) / Math.max(1, image.clientWidth));
    const to = Math.min(most, Math.max(1, next));
    x = point.x - ((point.x - x) * to) / scale;
    y = point.y - ((point.y - y) * to) / scale;
    scale = to;
    draw();
  }

  function draw() {
    if (!image) return;
    const most = (side, room) => Math.max(0, (side * scale - room) / 2);
    const [atMostX, atMostY] = [most(image.clientWidth, stage.clientWidth), most(image.clientHeight, stage.clientHeight)];
    x = Math.min(atMostX, Math.max(-atMostX, x));
    y = Math.min(atMostY, Math.max(-atMostY, y));
    image.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    stage.classList.toggle("zoomed", scale > 1);
    onzoom(scale);
  }

  function onwheel(event) {
    event.preventDefault();
    // Two fingers on a touch pad come as a wheel with Ctrl, in smaller steps.
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
    zoomTo(scale * Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)), fromMiddle(event));
  }

  function ondown(event) {
    if (!isPicture(event) || event.button !== 0) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (scale > 1 || fingers.size > 1) stage.setPointerCapture(event.pointerId);
  }

  function onmove(event) {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    if (fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, finger]) => finger);
      const apart = (finger) => Math.max(1, Math.hypot(finger.x - other.x, finger.y - other.y));
      x += (now.x - before.x) / 2;
      y += (now.y - before.y) / 2;
      zoomTo((scale * apart(now)) / apart(before), fromMiddle({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
    } else if (scale > 1) {
      x += now.x - before.x;
      y += now.y - before.y;
      draw();
    }
    fingers.set(event.pointerId, now);
  }

  function onup(event) {
    const wasAlone = fingers.size === 1;
    if (!fingers.delete(event.pointerId) || event.type !== "pointerup" || event.pointerType !== "touch" || !wasAlone) return;
    const tap = { at: event.timeStamp, x: event.clientX, y: event.clientY };
    const isSecond = tap.at - lastTap.at < TAP_MS && Math.hypot(tap.x - lastTap.x, tap.y - lastTap.y) < TAP_PX;
    lastTap = isSecond ? { at: 0, x: 0, y: 0 } : tap;
    if (isSecond) toggle(event);
  }

  function toggle(event) {
    // A browser makes a double click of two taps, which are counted by themselves.
    if (event.type === "dblclick" && event.sourceCapabilities?.firesTouchEvents) return;
    zoomTo(scale > 1 ? 1 : 3, fromMiddle(event));
  }

  function fromMiddle(event) {
    const { left, top, width, height } = stage.getBoundingClientRect();
    return { x: event.clientX - left - width / 2, y: event.clientY - top - height / 2 };
  }

  function isPicture(event) {
    return image !== null && !event.target.closest("button, a");
  }
}
