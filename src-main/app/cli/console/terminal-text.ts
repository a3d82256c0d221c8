/**
 * The plain text in a terminal's output. Theory of operation: bytes become characters (UTF-8, across chunks), escape sequences are dropped
 * by the state machine of ECMA-48 (sections 5.3, 5.4 and 5.6: escape, control and string sequences), CR LF and CR CR LF become LF, and
 * control characters that print nothing are dropped. How the bytes are cut into chunks makes no difference.
 */
type State =
  | 'text'
  | 'escape' // after ESC
  | 'control' // after CSI: parameters until a final byte
  | 'string' // after OSC, DCS, SOS, PM or APC: until ST or BEL

export class TerminalText {
  #decoder = new TextDecoder()
  #state: State = 'text'
  #carriageReturn = false

  /** The text that `bytes` add. A carriage return at the end waits for what follows it. */
  push(bytes: Uint8Array): string {
    let text = ''
    for (const char of this.#decoder.decode(bytes, { stream: true })) {
      if (this.#state === 'text') text += this.#text(char)
      else this.#state = next(this.#state, char)
    }
    return text
  }

  #text(char: string): string {
    if (char === '\r') {
      this.#carriageReturn = true
      return ''
    }
    if (char === '\u001b' || char === '\u009b') {
      this.#state = char === '\u001b' ? 'escape' : 'control'
      return ''
    }
    const kept = isControl(char) ? '' : char
    if (!this.#carriageReturn || kept === '') return kept
    this.#carriageReturn = false
    return kept === '\n' ? '\n' : `\r${kept}`
  }
}

function isControl(char: string): boolean {
  const code = char.codePointAt(0)!
  return (code < 0x20 && char !== '\n' && char !== '\t') || (code >= 0x7f && code < 0xa0)
}

function next(state: State, char: string): State {
  const code = char.codePointAt(0)!
  if (char === '\u001b') return 'escape'
  if (code === 0x18 || code === 0x1a) return 'text' // CAN and SUB end any sequence
  switch (state) {
    case 'escape':
      if (char === '[') return 'control'
      if (']PX^_'.includes(char)) return 'string'
      return code >= 0x20 && code <= 0x2f ? 'escape' : 'text' // intermediate bytes, then one final byte
    case 'control':
      return code >= 0x40 && code <= 0x7e ? 'text' : 'control'
    default:
      return char === '\u0007' || char === '\u009c' ? 'text' : 'string'
  }
}
