/**
 * How a memory state is put together again: bytes that stand here, pages that are in packs, and pages of zeroes, one after the other. As bytes:
 *
 *   number  n << 2 | 0, then n bytes        these bytes
 *   number  n << 2 | 1, pack, first page    n pages of a pack, by its place in the list of packs
 *   number  n << 2 | 2                      n pages of zeroes
 *   number  n << 2 | 3, head, what          n rows: a head, which is a 64-bit number, big endian, and grows by 4096 from row to row, and behind each a byte of
 *                                           zero (what: 0), or pages as above, one for each (what: the pack's place + 1; then the first page)
 *
 * Numbers are unsigned LEB128 (DWARF 5, section 7.6) of at most 52 bits.
 */

export type Step =
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'pages'; pack: number; first: number; count: number }
  | { kind: 'zeroes'; count: number }
  | { kind: 'rows'; head: number; count: number; pages: { pack: number; first: number } | null }

const [BYTES, PAGES, ZEROES, ROWS] = [0, 1, 2, 3] as const
/** What a row's head grows by. */
const ROW = 4096
const MAX_NUMBER = 2 ** 52

export class RecipeWriter {
  #bytes = new Uint8Array(64 * 1024)
  #length = 0
  /** What was added last, and may go on. */
  #last: Exclude<Step, { kind: 'bytes' }> | null = null

  literal(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#flush()
    this.#number(bytes.length * 4 + BYTES)
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  page(pack: number, index: number): void {
    const last = this.#last
    if (last?.kind === 'pages' && last.pack === pack && last.first + last.count === index) return void last.count++
    this.#flush()
    this.#last = { kind: 'pages', pack, first: index, count: 1 }
  }

  zeroPage(): void {
    if (this.#last?.kind === 'zeroes') return void this.#last.count++
    this.#flush()
    this.#last = { kind: 'zeroes', count: 1 }
  }

  /** @param head below 2^52; @param page null: a byte of zero is behind it */
  row(head: number, page: { pack: number; index: number } | null): void {
    const last = this.#last
    const pages = page && { pack: page.pack, first: page.index }
    if (last?.kind === 'rows' && last.head + last.count * ROW === head && goesOn(last, pages)) return void last.count++
    this.#flush()
    this.#last = { kind: 'rows', head, count: 1, pages }
  }

  /** All that was added. */
  end(): Uint8Array<ArrayBuffer> {
    this.#flush()
    return this.#bytes.slice(0, this.#length)
  }

  #flush(): void {
    const last = this.#last
    this.#last = null
    if (!last) return
    this.#number(last.count * 4 + { pages: PAGES, zeroes: ZEROES, rows: ROWS }[last.kind])
    if (last.kind === 'pages') {
      this.#number(last.pack)
      this.#number(last.first)
    } else if (last.kind === 'rows') {
      this.#number(last.head)
      this.#number(last.pages ? last.pages.pack + 1 : 0)
      if (last.pages) this.#number(last.pages.first)
    }
  }

  #number(value: number): void {
    this.#room(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#length + more, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

/** As it stands before a page. */
export function headBytes(head: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(head))
  return bytes
}

type Rows = Extract<Step, { kind: 'rows' }>

function goesOn(last: Rows, pages: Rows['pages']): boolean {
  if (!last.pages || !pages) return last.pages === pages
  return last.pages.pack === pages.pack && last.pages.first + last.count === pages.first
}

/** @throws Error saying what is wrong with it */
export function* readRecipe(recipe: Uint8Array): Generator<Step> {
  let at = 0
  const number = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = recipe[at++]
      if (byte === undefined || factor >= MAX_NUMBER) throw new Error('a number in it is cut off or too large')
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }
  while (at < recipe.length) {
    const tag = number()
    const count = Math.floor(tag / 4)
    const kind = tag % 4
    if (count === 0) throw new Error('a step of it is empty')
    if (kind === BYTES) {
      if (count > recipe.length - at) throw new Error('it ends too early')
      yield { kind: 'bytes', bytes: recipe.subarray(at, at + count) }
      at += count
    } else if (kind === PAGES) yield { kind: 'pages', count, pack: number(), first: number() }
    else if (kind === ZEROES) yield { kind: 'zeroes', count }
    else {
      const [head, what] = [number(), number()]
      if (head + count * ROW > MAX_NUMBER) throw new Error('a number in it is cut off or too large')
      yield { kind: 'rows', head, count, pages: what === 0 ? null : { pack: what - 1, first: number() } }
    }
  }
}
