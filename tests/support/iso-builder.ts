/** Small disc images for tests (ECMA-119, SUSP, RRIP, Joliet, El Torito), with room for what no program would write. */
import { concatBytes, utf8 } from '../../src-shared/base/bytes.ts'

const SECTOR = 2048

export interface IsoNode {
  name: string
  /** Also the name that Joliet has. */
  longName?: string
  data?: Uint8Array
  children?: IsoNode[]
  /** System use entries, after a Rock Ridge name that is `longName`. */
  rockRidge?: Uint8Array[]
  flags?: number
}

export interface IsoChoice {
  label?: string
  jolietLabel?: string
  root: IsoNode[]
  rockRidge?: boolean
  joliet?: boolean
  bootCatalogue?: Uint8Array
  /** UDF's recognition sequence, after the descriptors or instead of them. */
  udf?: 'too' | 'alone'
}

/** An entry of the System Use Sharing Protocol. */
export function susp(signature: string, ...data: (number | Uint8Array)[]): Uint8Array {
  const body = concatBytes(data.map((one) => (typeof one === 'number' ? new Uint8Array([one]) : one)))
  return concatBytes([utf8(signature), new Uint8Array([body.length + 4, 1]), body])
}

/** A number in both byte orders. */
export function both(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  const fields = new DataView(bytes.buffer)
  fields.setUint32(0, value, true)
  fields.setUint32(4, value)
  return bytes
}

export function buildIso(choice: IsoChoice): Uint8Array<ArrayBuffer> {
  const sectors: Uint8Array[] = []
  const place = (bytes: Uint8Array): number => {
    const at = 32 + sectors.length
    for (let from = 0; from < Math.max(1, bytes.length); from += SECTOR) {
      const sector = new Uint8Array(SECTOR)
      sector.set(bytes.subarray(from, from + SECTOR))
      sectors.push(sector)
    }
    return at
  }
  const files = new Map<IsoNode, number>()
  const folder = (nodes: readonly IsoNode[], joliet: boolean, isRoot: boolean): { at: number; length: number } => {
    // Its place is needed in its own first record: reserved first, filled in afterwards.
    const own = place(new Uint8Array(2 * SECTOR))
    const useRockRidge = choice.rockRidge === true && !joliet
    const records = [
      record(new Uint8Array([0]), own, 2 * SECTOR, 2, useRockRidge && isRoot ? [susp('SP', 0xbe, 0xef, 0)] : []),
      record(new Uint8Array([1]), own, 2 * SECTOR, 2, []),
    ]
    for (const node of nodes) {
      const longName = node.longName ?? node.name
      const name = joliet ? ucs2(longName) : utf8(node.name)
      const use = useRockRidge ? [susp('NM', 0, utf8(longName)), ...(node.rockRidge ?? [])] : []
      if (node.children) {
        const below = folder(node.children, joliet, false)
        records.push(record(name, below.at, below.length, 2 | (node.flags ?? 0), use))
      } else {
        const data = node.data ?? new Uint8Array(0)
        if (!files.has(node)) files.set(node, place(data))
        records.push(record(name, files.get(node)!, data.length, node.flags ?? 0, use))
      }
    }
    let at = 0
    const bytes = new Uint8Array(2 * SECTOR)
    for (const one of records) {
      if ((at % SECTOR) + one.length > SECTOR) at = Math.ceil(at / SECTOR) * SECTOR
      bytes.set(one, at)
      at += one.length
    }
    sectors[own - 32]!.set(bytes.subarray(0, SECTOR))
    sectors[own - 31]!.set(bytes.subarray(SECTOR))
    return { at: own, length: 2 * SECTOR }
  }
  const descriptors: Uint8Array[] = []
  const volume = (type: number, label: Uint8Array, root: { at: number; length: number }): Uint8Array => {
    const bytes = descriptor(type)
    bytes.set(label, 40)
    new DataView(bytes.buffer).setUint16(128, SECTOR, true)
    bytes.set(record(new Uint8Array([0]), root.at, root.length, 2, []), 156)
    return bytes
  }
  if (choice.udf !== 'alone') {
    descriptors.push(volume(1, utf8((choice.label ?? 'TEST').padEnd(32)), folder(choice.root, false, true)))
    if (choice.bootCatalogue) {
      const boot = descriptor(0)
      boot.set(utf8('EL TORITO SPECIFICATION'), 7)
      new DataView(boot.buffer).setUint32(71, place(choice.bootCatalogue), true)
      descriptors.push(boot)
    }
    if (choice.joliet) {
      const second = volume(2, ucs2((choice.jolietLabel ?? '').padEnd(16)), folder(choice.root, true, true))
      second.set(utf8('%/E'), 88)
      descriptors.push(second)
    }
    descriptors.push(descriptor(255))
  }
  for (const id of choice.udf ? ['BEA01', 'NSR02', 'TEA01'] : []) {
    const bytes = descriptor(0)
    bytes.set(utf8(id), 1)
    descriptors.push(bytes)
  }
  return concatBytes([new Uint8Array(16 * SECTOR), ...descriptors, new Uint8Array((16 - descriptors.length) * SECTOR), ...sectors])
}

function descriptor(type: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SECTOR)
  bytes[0] = type
  bytes.set(utf8('CD001\x01'), 1)
  return bytes
}

function record(name: Uint8Array, at: number, length: number, flags: number, systemUse: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(33)
  head.set(both(at), 2)
  head.set(both(length), 10)
  head.set([124, 2, 29, 12, 30, 15, 4], 18) // 2024-02-29 12:30:15, an hour east of Greenwich
  head[25] = flags
  head[32] = name.length
  const bytes = concatBytes([head, name, new Uint8Array(name.length % 2 === 0 ? 1 : 0), ...systemUse])
  const even = concatBytes([bytes, new Uint8Array(bytes.length % 2)])
  even[0] = even.length
  return even
}

function ucs2(text: string): Uint8Array {
  return Uint8Array.from([...text].flatMap((char) => [char.charCodeAt(0) >> 8, char.charCodeAt(0) & 255]))
}

/** A boot catalogue: the validation entry, then these entries of 32 bytes. */
export function bootCatalogue(platform: number, ...entries: number[][]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(32 * (entries.length + 1))
  bytes.set([1, platform])
  bytes.set([0x55, 0xaa], 30)
  const fields = new DataView(bytes.buffer)
  let sum = 0
  for (let at = 0; at < 32; at += 2) sum += fields.getUint16(at, true)
  fields.setUint16(28, -sum & 0xffff, true)
  for (const [index, entry] of entries.entries()) bytes.set(entry, 32 * (index + 1))
  return bytes
}
