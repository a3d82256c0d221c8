/** The last messages of a process: however much it writes, no more is kept. */
import { KiB } from '../../../../src-shared/base/units.ts'
import { ByteLog } from '../../../../src-shared/base/byte-log.ts'

/** Bytes of messages kept. */
export const KEPT_MESSAGES = 16 * KiB
/** Characters of a line in a sentence. */
const MAX_LINE = 300

export class MessageTail {
  #log = new ByteLog(KEPT_MESSAGES)

  append(bytes: Uint8Array): void {
    this.#log.append(bytes)
  }

  /** Whole lines, where older ones are gone. */
  text(): string {
    const { start } = this.#log
    const text = new TextDecoder().decode(this.#log.read(start).bytes)
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1)
  }
}

/** How a program of QEMU's begins its own messages; what follows without it is a hint for people at a shell. */
const OWN = /^[^\s:]*(?:qemu|swtpm)[^\s:]*: /i

/** What a program says as its reason: its last message that is no warning, without the program's name. Null where it said nothing. */
export function lastReason(messages: string): string | null {
  const lines = messages.split(/\r?\n/).filter((line) => line.trim() !== '')
  const own = lines.filter((line) => OWN.test(line)).map((line) => line.replace(OWN, '').trim())
  const line = own.findLast((text) => !/^(warning|info):/i.test(text)) ?? own.at(-1) ?? lines.at(-1)?.trim()
  if (line === undefined) return null
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE - 1)}…` : line
}
