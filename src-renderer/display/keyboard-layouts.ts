/**
 * Where each character is on the keyboard that the guest believes to have. Pasted text reaches a guest as key presses, which are places on a
 * keyboard, not characters, so its layout has to be told. Each layout has four rows of keys as printed on an ISO keyboard, from the left, in
 * three planes: plain, with Shift, with AltGr; a space stands for "nothing here". The places are those of the X Keyboard Extension's layouts of
 * the same names. Pure.
 */

/** KeyboardEvent.code of the keys of each row. */
const ROWS: readonly (readonly string[])[] = [
  ['Backquote', ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 0].map((digit) => `Digit${digit}`), 'Minus', 'Equal'],
  [...[...'QWERTYUIOP'].map((letter) => `Key${letter}`), 'BracketLeft', 'BracketRight', 'Backslash'],
  [...[...'ASDFGHJKL'].map((letter) => `Key${letter}`), 'Semicolon', 'Quote'],
  ['IntlBackslash', ...[...'ZXCVBNM'].map((letter) => `Key${letter}`), 'Comma', 'Period', 'Slash'],
]

interface Rows {
  label: string
  plain: readonly [string, string, string, string]
  shift: readonly [string, string, string, string]
  altGr: readonly [string, string, string, string]
  /** Characters whose key waits for the next one and changes it; typed before a space they stand for themselves. */
  dead: string
}

const LAYOUTS = {
  us: {
    label: 'English (US)',
    plain: ['`1234567890-=', 'qwertyuiop[]\\', "asdfghjkl;'", ' zxcvbnm,./'],
    shift: ['~!@#$%^&*()_+', 'QWERTYUIOP{}|', 'ASDFGHJKL:"', ' ZXCVBNM<>?'],
    altGr: ['', '', '', ''],
    dead: '',
  },
  gb: {
    label: 'English (UK)',
    plain: ['`1234567890-=', 'qwertyuiop[]#', "asdfghjkl;'", '\\zxcvbnm,./'],
    shift: ['¬!"£$%^&*()_+', 'QWERTYUIOP{}~', 'ASDFGHJKL:@', '|ZXCVBNM<>?'],
    altGr: ['    €', '', '', ''],
    dead: '',
  },
  de: {
    label: 'German',
    plain: ['^1234567890ß´', 'qwertzuiopü+#', 'asdfghjklöä', '<yxcvbnm,.-'],
    shift: ['°!"§$%&/()=?`', "QWERTZUIOPÜ*'", 'ASDFGHJKLÖÄ', '>YXCVBNM;:_'],
    altGr: ['  ²³   {[]}\\', '@ €        ~', '', '|      µ'],
    dead: '^´`',
  },
  ch: {
    label: 'German (Switzerland)',
    plain: ["§1234567890'^", 'qwertzuiopü¨$', 'asdfghjklöä', '<yxcvbnm,.-'],
    shift: ['°+"*ç%&/()=?`', 'QWERTZUIOPè!£', 'ASDFGHJKLéà', '>YXCVBNM;:_'],
    altGr: [' |@#  ¬|¢  ´~', '  €       []}', '          {', '\\'],
    dead: '^`¨´~',
  },
  fr: {
    label: 'French',
    plain: ['²&é"\'(-è_çà)=', 'azertyuiop $*', 'qsdfghjklmù', '<wxcvbn,;:!'],
    shift: [' 1234567890°+', 'AZERTYUIOP¨£µ', 'QSDFGHJKLM%', '>WXCVBN?./§'],
    altGr: ['  ~#{[|`\\^@]}', '  €', '', ''],
    dead: '¨',
  },
  es: {
    label: 'Spanish',
    plain: ["º1234567890'¡", 'qwertyuiop`+ç', 'asdfghjklñ´', '<zxcvbnm,.-'],
    shift: ['ª!"·$%&/()=?¿', 'QWERTYUIOP^*Ç', 'ASDFGHJKLÑ¨', '>ZXCVBNM;:_'],
    altGr: ['\\|@#~ ¬', '  €       []}', '          {', ''],
    dead: '`´^¨',
  },
  it: {
    label: 'Italian',
    plain: ["\\1234567890'ì", 'qwertyuiopè+ù', 'asdfghjklòà', '<zxcvbnm,.-'],
    shift: ['|!"£$%&/()=?^', 'QWERTYUIOPé*§', 'ASDFGHJKLç°', '>ZXCVBNM;:_'],
    altGr: ['       {[]}`~', '  €       []', '         @#', ''],
    dead: '',
  },
  se: {
    label: 'Swedish',
    plain: ['§1234567890+´', "qwertyuiopå¨'", 'asdfghjklöä', '<zxcvbnm,.-'],
    shift: ['½!"#¤%&/()=?`', 'QWERTYUIOPÅ^*', 'ASDFGHJKLÖÄ', '>ZXCVBNM;:_'],
    altGr: ['  @£$  {[]}\\', '  €        ~', '', '|      µ'],
    dead: '´`¨^~',
  },
} as const satisfies Record<string, Rows>

export type LayoutName = keyof typeof LAYOUTS
export const LAYOUT_NAMES = Object.keys(LAYOUTS) as LayoutName[]

export function layoutLabel(name: LayoutName): string {
  return LAYOUTS[name].label
}

/** One press of one key. */
export interface Stroke {
  /** As KeyboardEvent.code. */
  code: string
  /** X keysym of what it makes, for servers that do not take scancodes. */
  keysym: number
  shift: boolean
  altGr: boolean
}

const CONTROLS: Record<string, Stroke> = {
  '\n': { code: 'Enter', keysym: 0xff0d, shift: false, altGr: false },
  '\t': { code: 'Tab', keysym: 0xff09, shift: false, altGr: false },
  ' ': { code: 'Space', keysym: 0x20, shift: false, altGr: false },
}

/** The spacing form of combining marks (Unicode, "Combining Diacritical Marks"), as layouts name their dead keys. */
const DEAD_OF_MARK: Record<string, string> = { '\u0300': '`', '\u0301': '´', '\u0302': '^', '\u0303': '~', '\u0308': '¨' }

/** Every character of a layout, with the strokes that make it. */
export class Layout {
  #keys = new Map<string, Stroke>()
  #dead: string

  constructor(name: LayoutName) {
    const rows: Rows = LAYOUTS[name]
    this.#dead = rows.dead
    // The plane that needs fewer modifiers wins.
    for (const [plane, shift, altGr] of [
      [rows.altGr, false, true],
      [rows.shift, true, false],
      [rows.plain, false, false],
    ] as const)
      plane.forEach((row, at) =>
        [...row].forEach((char, column) => {
          if (char !== ' ') this.#keys.set(char, { code: ROWS[at]![column]!, keysym: keysymOf(char), shift, altGr })
        }),
      )
  }

  /** The presses that make a character; null where this keyboard cannot. */
  strokes(char: string): Stroke[] | null {
    const control = CONTROLS[char]
    if (control) return [control]
    const key = this.#keys.get(char)
    if (key) return this.#dead.includes(char) ? [key, CONTROLS[' ']!] : [key]
    const [base = '', mark = ''] = char.normalize('NFD')
    const dead = DEAD_OF_MARK[mark]
    const [deadKey, baseKey] = [dead === undefined ? undefined : this.#keys.get(dead), this.#keys.get(base)]
    return deadKey && baseKey && this.#dead.includes(dead!) ? [deadKey, baseKey] : null
  }
}

/** X11, appendix A of the protocol: Latin-1 characters are their own keysyms, others lie above 0x01000000. */
function keysymOf(char: string): number {
  const point = char.codePointAt(0)!
  return point <= 0xff ? point : 0x01000000 + point
}
