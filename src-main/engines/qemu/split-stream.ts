/**
 * Splits QEMU's migration stream into the guest's pages and everything else, so that pages can be shared between states. Theory of operation: memory comes as
 * records (QEMU 7.2, migration/ram.c: ram_save_page, save_zero_page_to_file, save_page_header):
 *
 *   address | flags       64 bits, big endian; the lowest 12 are flags
 *   length, name          of the block of memory, where it is another than before (without the flag CONTINUE)
 *   page                  4096 bytes with the flag PAGE; one byte with the flag ZERO
 *
 * Sections of such records end with a record EOS, and a footer (migration/savevm.c). All else is not looked into. What is taken for a record does not matter for
 * what comes out when all is put together again, only for how much of it is shared: bytes that look like one are put back where they were.
 */
import { PAGE } from '../../files/pages/pack.ts'
import type { PagesWriter } from '../../files/pages/write-pages.ts'

const [ZERO, PAGE_FLAG, EOS, CONTINUE] = [0x02, 0x08, 0x10, 0x20]
const FLAGS = 0xfff
const HEAD = 8
/** Of addresses: 2^52 bytes. */
const HIGH = 2 ** 20
/** QEMU_VM_SECTION_FOOTER, QEMU_VM_SECTION_PART, QEMU_VM_SECTION_END; each has a number of 32 bits behind it. */
const FOOTER = 0x7e
const SECTIONS = new Set([0x02, 0x03])
const SECTION_BYTES = 5
/** A record with the longest name. */
const LONGEST = HEAD + 1 + 255 + PAGE
const NAME = /^[\w./:@-]+$/

type Pages = Pick<PagesWriter, 'literal' | 'zeroRow' | 'pages'>

export class StreamSplitter {
  #pages: Pages
  #rest: Buffer = Buffer.alloc(0)
  /** Records follow each other: the next one needs no name to be known as one. */
  #inMemory = false

  constructor(pages: Pages) {
    this.#pages = pages
  }

  /** @param bytes of the stream, the next ones; not changed until the state is kept */
  async push(bytes: Buffer): Promise<void> {
    await this.#split(this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]), false)
  }

  async end(): Promise<void> {
    await this.#split(this.#rest, true)
  }

  async #split(bytes: Buffer, last: boolean): Promise<void> {
    let at = 0
    /** Where bytes begin that were not passed on. */
    let kept = 0
    const pass = (to: number): void => {
      this.#pages.literal(bytes.subarray(kept, to))
      kept = to
    }
    while (at < bytes.length && (last || bytes.length - at >= LONGEST)) {
      const record = this.#recordAt(bytes, at)
      if (!record) {
        this.#inMemory = false
        at++
        continue
      }
      this.#inMemory = true
      const { head, named, kind } = record
      if (kind === 'end') at += named
      else if (named > HEAD) {
        // The name is kept as it is, and so is what stands before it.
        pass(at + named)
        at += named
        if (kind === 'page') {
          await this.#pages.pages(bytes.subarray(at, at + PAGE))
          kept = at += PAGE
        } else at++
      } else {
        pass(at)
        if (kind === 'page') await this.#pages.pages(bytes.subarray(at + HEAD, at + HEAD + PAGE), head)
        else this.#pages.zeroRow(head)
        kept = at += HEAD + (kind === 'page' ? PAGE : 1)
      }
    }
    pass(at)
    this.#rest = bytes.subarray(at)
  }

  /** `named`: bytes before the page or its zero; of an end, of all of it. */
  #recordAt(bytes: Buffer, at: number): { head: number; named: number; kind: 'page' | 'zero' | 'end' } | null {
    if (bytes.length - at < HEAD + 1) return null
    const [high, low] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
    if (high >= HIGH) return null
    const head = high * 2 ** 32 + low
    const flags = low & FLAGS
    if (this.#inMemory && head === EOS) return { head, named: HEAD + sectionsAt(bytes, at + HEAD), kind: 'end' }
    const what = flags & ~CONTINUE
    if (what !== PAGE_FLAG && what !== ZERO) return null
    const kind = what === PAGE_FLAG ? 'page' : 'zero'
    let named = HEAD
    if ((flags & CONTINUE) === 0) {
      const length = bytes[at + HEAD]!
      if (length === 0 || !NAME.test(bytes.toString('latin1', at + HEAD + 1, at + HEAD + 1 + length))) return null
      named += 1 + length
    } else if (!this.#inMemory) return null
    if (kind === 'zero' && bytes[at + named] !== 0) return null
    return bytes.length - at >= named + (kind === 'page' ? PAGE : 1) ? { head, named, kind } : null
  }
}

/** Bytes of the footer and of the beginning of the next section, where they are there. */
function sectionsAt(bytes: Buffer, at: number): number {
  const footer = bytes[at] === FOOTER ? SECTION_BYTES : 0
  return SECTIONS.has(bytes[at + footer] ?? 0) ? footer + SECTION_BYTES : footer
}
