/** Text as key presses, at a pace that a guest's keyboard controller can follow. */
import type { SendKey } from './key-combinations.ts'
import { Layout, type LayoutName, type Stroke } from './keyboard-layouts.ts'

/** Characters that are typed at once at most: at PACE some six minutes. */
export const MAX_TYPED = 16 * 1024
/** ms for each press. A PS/2 keyboard holds 16 bytes, one press with its modifiers needs up to 10. */
const PACE = 20

const SHIFT = { keysym: 0xffe1, code: 'ShiftLeft' }
const ALT_GR = { keysym: 0xfe03, code: 'AltRight' }

export interface Typing {
  strokes: Stroke[]
  /** Characters that this keyboard does not have, each once. */
  missing: string[]
}

/** Line ends of every kind become Enter. Pure. */
export function typingOf(text: string, layoutName: LayoutName): Typing {
  const layout = new Layout(layoutName)
  const strokes: Stroke[] = []
  const missing = new Set<string>()
  for (const char of text.replace(/\r\n?/g, '\n').normalize('NFC')) {
    const found = layout.strokes(char)
    if (found) strokes.push(...found)
    else missing.add(char)
  }
  return { strokes, missing: [...missing] }
}

/** ms that typing takes. */
export function typingTime(strokes: number): number {
  return strokes * PACE
}

/** @param onProgress presses done. Resolves when all are sent, or the signal aborts. */
export async function typeStrokes(
  strokes: readonly Stroke[],
  send: SendKey,
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<void> {
  for (const [at, { code, keysym, shift, altGr }] of strokes.entries()) {
    if (signal.aborted) return
    const modifiers = [...(shift ? [SHIFT] : []), ...(altGr ? [ALT_GR] : [])]
    for (const modifier of modifiers) send(modifier.keysym, modifier.code, true)
    send(keysym, code, true)
    send(keysym, code, false)
    for (const modifier of modifiers.reverse()) send(modifier.keysym, modifier.code, false)
    onProgress(at + 1)
    await new Promise((resolve) => setTimeout(resolve, PACE))
  }
}
