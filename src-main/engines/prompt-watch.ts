/**
 * Sees that a guest has booted: Coppice Linux says so with a mark; of others the first login or shell prompt is recognised, as text at the end
 * of output that has gone quiet. Works on bytes, and keeps only the last few.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import { BOOT_COMPLETE_MARK } from '../../src-shared/model/boot-mark.ts'

/** Nothing more was printed for this long, ms: it is a prompt, not the middle of a line. */
export const QUIET_MS = 300
const TAIL = 256

const PROMPT = /(?:^|[\r\n])[^\r\n]{0,100}?(?:login: |[#$] )$/
/** What terminals do not show: CSI and OSC sequences (ECMA-48), such as the cursor query that BusyBox sends after its prompt. */
// eslint-disable-next-line no-control-regex
const INVISIBLE = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)/g

export class PromptWatch implements Disposable {
  #watching = false
  #tail = ''
  #quiet: NodeJS.Timeout | null = null
  #onPrompt = new Emitter<void>()

  /** At most once for each `start`. */
  readonly onPrompt = this.#onPrompt.event

  start(): void {
    this.#watching = true
    this.#tail = ''
  }

  stop(): void {
    this.#watching = false
    this.#cancel()
  }

  see(bytes: Uint8Array): void {
    if (!this.#watching) return
    this.#cancel()
    const seen = this.#tail + latin1(bytes)
    this.#tail = seen.slice(-TAIL)
    if (seen.includes(BOOT_COMPLETE_MARK)) this.#found()
    else if (endsInPrompt(this.#tail)) this.#quiet = setTimeout(() => this.#found(), QUIET_MS)
  }

  dispose(): void {
    this.stop()
    this.#onPrompt.dispose()
  }

  #found(): void {
    this.stop()
    this.#onPrompt.fire()
  }

  #cancel(): void {
    if (this.#quiet) clearTimeout(this.#quiet)
    this.#quiet = null
  }
}

/** Exported for its test. */
export function endsInPrompt(text: string): boolean {
  return PROMPT.test(text.replace(INVISIBLE, ''))
}

const decoder = new TextDecoder('latin1')

/** One character for each byte: prompts and the mark are ASCII. */
function latin1(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}
