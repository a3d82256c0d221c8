/**
 * Relative pointers. A guest with a plain mouse knows movements only, no places; told places, its pointer drifts away from ours. QEMU's extension
 * of the protocol ("QEMU Pointer Motion Change Pseudo-encoding" in the RFB community's specification, encoding -257): a client that lists it is
 * told which kind the guest has, in a rectangle of that encoding whose x is 1 for places and 0 for movements; for movements, pointer events carry
 * 0x7FFF + the movement in pixels instead of a place. noVNC does not know it: its list is lengthened on the way out, and while the guest takes
 * movements its own pointer events are dropped and ours sent. Pure.
 */
import type { MessageFilter } from './rfb-channel.ts'

export const POINTER_MOTION_CHANGE = -257
/** RFC 6143, section 7.5. */
const SET_ENCODINGS = 2
const POINTER_EVENT = 5
const CENTRE = 0x7fff
/** Pixels; more than a hand does between two frames. */
const MAX_MOVEMENT = 1000

/** @param isRelative whether the guest takes movements now */
export function pointerFilter(isRelative: () => boolean): MessageFilter {
  return (message) => {
    if (message[0] === SET_ENCODINGS) return withEncoding(message, POINTER_MOTION_CHANGE)
    return message[0] === POINTER_EVENT && isRelative() ? null : message
  }
}

/** A SetEncodings message with one more encoding at its end. */
function withEncoding(message: Uint8Array, encoding: number): Uint8Array {
  const longer = new Uint8Array(message.length + 4)
  longer.set(message)
  const view = new DataView(longer.buffer)
  view.setUint16(2, view.getUint16(2) + 1)
  view.setInt32(message.length, encoding)
  return longer
}

/** A PointerEvent (RFC 6143, section 7.5.5). @param buttons the protocol's mask @param dx, dy guest pixels, right and down */
export function movement(buttons: number, dx: number, dy: number): Uint8Array {
  const message = new Uint8Array(6)
  const view = new DataView(message.buffer)
  view.setUint8(0, POINTER_EVENT)
  view.setUint8(1, buttons & 0xff)
  view.setUint16(2, CENTRE + clamp(dx))
  view.setUint16(4, CENTRE + clamp(dy))
  return message
}

function clamp(pixels: number): number {
  return Math.max(-MAX_MOVEMENT, Math.min(MAX_MOVEMENT, Math.round(pixels)))
}

/** MouseEvent.buttons (left, right, middle) as the protocol has them (left, middle, right). */
export function buttonMask(buttons: number): number {
  return (buttons & 1) | ((buttons & 4) >> 1) | ((buttons & 2) << 1)
}

/** The buttons that stand for one step of the wheel; 0: none. */
export function wheelMask(deltaX: number, deltaY: number): number {
  if (deltaY !== 0) return deltaY < 0 ? 1 << 3 : 1 << 4
  if (deltaX !== 0) return deltaX < 0 ? 1 << 5 : 1 << 6
  return 0
}
