/** Keysyms (X11's keysymdef.h) on a US keyboard of 104 keys, as XT scancodes; 0x80 stands for the prefix 0xE0. */

export const SCANCODE = {
  leftControl: 0x1d,
  leftShift: 0x2a,
  rightShift: 0x36,
  leftAlt: 0x38,
  capsLock: 0x3a,
  sysRq: 0x54,
  rightControl: 0x9d,
  print: 0xb7,
  rightAlt: 0xb8,
  pause: 0xc6,
} as const

export interface UsKey {
  code: number
  /** Whether the character needs Shift; null for keys that print nothing. */
  shift: boolean | null
  /** Caps Lock turns its Shift round. */
  letter: boolean
}

/** Rows of keys, from the first one's scancode on: what each prints without and with Shift. */
const ROWS: [first: number, plain: string, shifted: string][] = [
  [0x02, '1234567890-=', '!@#$%^&*()_+'],
  [0x10, 'qwertyuiop[]', 'QWERTYUIOP{}'],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
  [0x39, ' ', ' '],
]

/** Keysym of keys that print nothing. */
const NAMED: Record<number, number> = {
  0xff08: 0x0e, // BackSpace
  0xff09: 0x0f, // Tab
  0xfe20: 0x0f, // ISO_Left_Tab
  0xff0d: 0x1c, // Return
  0xff13: SCANCODE.pause,
  0xff6b: SCANCODE.pause, // Break
  0xff14: 0x46, // Scroll_Lock
  0xff15: SCANCODE.sysRq,
  0xff61: SCANCODE.print,
  0xff1b: 0x01, // Escape
  0xffff: 0xd3, // Delete
  0xff50: 0xc7, // Home
  0xff51: 0xcb, // Left
  0xff52: 0xc8, // Up
  0xff53: 0xcd, // Right
  0xff54: 0xd0, // Down
  0xff55: 0xc9, // Page_Up
  0xff56: 0xd1, // Page_Down
  0xff57: 0xcf, // End
  0xff63: 0xd2, // Insert
  0xff67: 0xdd, // Menu
  0xff7f: 0x45, // Num_Lock
  0xff8d: 0x9c, // KP_Enter
  0xffaa: 0x37, // KP_Multiply
  0xffab: 0x4e, // KP_Add
  0xffad: 0x4a, // KP_Subtract
  0xffae: 0x53, // KP_Decimal
  0xffaf: 0xb5, // KP_Divide
  0xffe1: SCANCODE.leftShift,
  0xffe2: SCANCODE.rightShift,
  0xffe3: SCANCODE.leftControl,
  0xffe4: SCANCODE.rightControl,
  0xffe5: SCANCODE.capsLock,
  0xffe7: 0xdb, // Meta_L
  0xffe8: 0xdc, // Meta_R
  0xffe9: SCANCODE.leftAlt,
  0xffea: SCANCODE.rightAlt,
  0xfe03: SCANCODE.rightAlt, // ISO_Level3_Shift
  0xffeb: 0xdb, // Super_L
  0xffec: 0xdc, // Super_R
}

const F1 = 0xffbe
const FUNCTION_KEYS = [0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x57, 0x58]
const KEYPAD_0 = 0xffb0
const KEYPAD = [0x52, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49]
/** The keypad without Num Lock: Home, Left, Up, Right, Down, Page_Up, Page_Down, End, Begin, Insert, Delete. */
const KEYPAD_HOME = 0xff95
const KEYPAD_MOVES = [0x47, 0x4b, 0x48, 0x4d, 0x50, 0x49, 0x51, 0x4f, 0x4c, 0x52, 0x53]

const KEYS = new Map<number, UsKey>()
const name = (keysym: number, code: number): void => void KEYS.set(keysym, { code, shift: null, letter: false })
for (const [first, plain, shifted] of ROWS) {
  for (let at = 0; at < plain.length; at++) {
    const code = first + at
    const letter = /[a-z]/.test(plain[at]!)
    KEYS.set(shifted.charCodeAt(at), { code, shift: true, letter })
    KEYS.set(plain.charCodeAt(at), { code, shift: false, letter })
  }
}
for (const [keysym, code] of Object.entries(NAMED)) name(Number(keysym), code)
FUNCTION_KEYS.forEach((code, at) => name(F1 + at, code))
KEYPAD.forEach((code, at) => name(KEYPAD_0 + at, code))
KEYPAD_MOVES.forEach((code, at) => name(KEYPAD_HOME + at, code))
// A space is the same with Shift.
name(0x20, 0x39)

/** Null for a keysym that a US keyboard has no key for. */
export function keyOfSym(keysym: number): UsKey | null {
  return KEYS.get(keysym) ?? null
}
