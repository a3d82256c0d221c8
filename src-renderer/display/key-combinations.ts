/** Key combinations that the window, the browser or the computer would keep for themselves, sent to the guest from a menu. Pure. */

/** Keys as KeyboardEvent.code with their X keysym (X11/keysymdef.h), for servers that do not take scancodes. */
const KEYSYMS: Record<string, number> = {
  ControlLeft: 0xffe3,
  AltLeft: 0xffe9,
  MetaLeft: 0xffeb,
  Delete: 0xffff,
  Backspace: 0xff08,
  Escape: 0xff1b,
  Tab: 0xff09,
  PrintScreen: 0xff61,
  KeyB: 0x62,
  KeyC: 0x63,
  KeyE: 0x65,
  KeyI: 0x69,
  KeyK: 0x6b,
  KeyN: 0x6e,
  KeyO: 0x6f,
  KeyR: 0x72,
  KeyS: 0x73,
  KeyT: 0x74,
  KeyU: 0x75,
  KeyW: 0x77,
  ...Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`F${at + 1}`, 0xffbe + at])),
}

export interface Combination {
  label: string
  /** What it is for, where the name does not say it. */
  purpose?: string
  codes: readonly string[]
}

const combination = (label: string, codes: readonly string[], purpose?: string): Combination => ({
  label,
  codes,
  ...(purpose === undefined ? {} : { purpose }),
})

export const COMMON: readonly Combination[] = [
  combination('Ctrl+Alt+Del', ['ControlLeft', 'AltLeft', 'Delete']),
  combination('Ctrl+Alt+Backspace', ['ControlLeft', 'AltLeft', 'Backspace']),
  combination('Alt+Tab', ['AltLeft', 'Tab']),
  combination('Alt+F4', ['AltLeft', 'F4']),
  combination('Super', ['MetaLeft']),
  combination('Esc', ['Escape']),
  combination('Print Screen', ['PrintScreen']),
]

/** The window's and the browser's own. */
export const KEPT_HERE: readonly Combination[] = ['K', 'N', 'T', 'W'].map((letter) =>
  combination(`Ctrl+${letter}`, ['ControlLeft', `Key${letter}`]),
)

/** Virtual terminals of Linux. */
export const TERMINALS: readonly Combination[] = Array.from({ length: 7 }, (_, at) =>
  combination(`Ctrl+Alt+F${at + 1}`, ['ControlLeft', 'AltLeft', `F${at + 1}`]),
)

/** Linux, Documentation/admin-guide/sysrq.rst. */
export const SYSRQ: readonly Combination[] = (
  [
    ['R', 'take the keyboard back'],
    ['E', 'end all processes'],
    ['I', 'kill all processes'],
    ['S', 'write the disks'],
    ['U', 'make the disks read-only'],
    ['B', 'restart at once'],
    ['O', 'power off at once'],
    ['C', 'crash the kernel'],
  ] as const
).map(([letter, purpose]) => combination(`Alt+SysRq+${letter}`, ['AltLeft', 'PrintScreen', `Key${letter}`], purpose))

/** As RFB.sendKey. */
export type SendKey = (keysym: number, code: string, down: boolean) => void

/** Presses the keys in their order and lets them go in the opposite one. */
export function sendCombination(send: SendKey, { codes }: Combination): void {
  for (const code of codes) send(KEYSYMS[code] ?? 0, code, true)
  for (const code of [...codes].reverse()) send(KEYSYMS[code] ?? 0, code, false)
}
