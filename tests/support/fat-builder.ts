/** Small FAT volumes for tests (Microsoft, "FAT: General Overview of On-Disk Format"): files and folders with long names, one copy of the table. */

export interface FatNode {
  name: string
  /** Bytes of a file; a folder has children instead. */
  size?: number
  children?: FatNode[]
}

const SECTOR = 512
const ENTRY = 32
const ROOT_ENTRIES = 512

interface Shape {
  bits: 12 | 16 | 32
  clusters: number
  sectorsPerCluster: number
}

export const FAT_SHAPES: readonly Shape[] = [
  { bits: 12, clusters: 2000, sectorsPerCluster: 1 },
  { bits: 16, clusters: 5000, sectorsPerCluster: 2 },
  { bits: 32, clusters: 66_000, sectorsPerCluster: 1 },
]

export function buildFat({ bits, clusters, sectorsPerCluster }: Shape, root: readonly FatNode[], label = 'TEST'): Uint8Array<ArrayBuffer> {
  const reserved = bits === 32 ? 32 : 1
  const tableSectors = Math.ceil(((clusters + 2) * bits) / 8 / SECTOR)
  const rootAt = (reserved + tableSectors) * SECTOR
  const dataAt = rootAt + (bits === 32 ? 0 : ROOT_ENTRIES * ENTRY)
  const clusterSize = sectorsPerCluster * SECTOR
  const bytes = new Uint8Array(dataAt + clusters * clusterSize)
  const view = new DataView(bytes.buffer)
  let free = 2
  const setNext = (cluster: number, value: number): void => {
    const at = reserved * SECTOR
    if (bits === 32) view.setUint32(at + cluster * 4, value & 0x0fffffff, true)
    else if (bits === 16) view.setUint16(at + cluster * 2, value & 0xffff, true)
    else {
      const place = at + Math.floor(cluster * 1.5)
      const pair = view.getUint16(place, true)
      view.setUint16(place, cluster % 2 === 0 ? (pair & 0xf000) | (value & 0xfff) : (pair & 0xf) | ((value & 0xfff) << 4), true)
    }
  }
  /** Every other cluster: a chain that is in one piece would hide what is wrong. */
  const allocate = (count: number): number[] => {
    const chain = Array.from({ length: count }, () => (free += 2))
    chain.forEach((cluster, i) => setNext(cluster, chain[i + 1] ?? 0x0fffffff))
    return chain
  }
  const place = (chain: readonly number[], content: Uint8Array): void =>
    chain.forEach((cluster, i) => bytes.set(content.subarray(i * clusterSize, (i + 1) * clusterSize), dataAt + (cluster - 2) * clusterSize))
  const folder = (nodes: readonly FatNode[], first: Uint8Array[]): Uint8Array => {
    const entries = [...first]
    nodes.forEach(({ name, size = 0, children }, i) => {
      const content = children ? folder(children, [short('.', 0x10, 0, 0), short('..', 0x10, 0, 0)]) : null
      const chain = allocate(Math.ceil((content?.length ?? size) / clusterSize) || (content ? 1 : 0))
      if (content) place(chain, content)
      entries.push(...longEntries(name), short(`F${i}.TXT`, children ? 0x10 : 0x20, chain[0] ?? 0, content ? 0 : size))
    })
    const all = new Uint8Array((entries.length + 1) * ENTRY)
    entries.forEach((entry, i) => all.set(entry, i * ENTRY))
    return all
  }
  const content = folder(root, [short(label, 0x08, 0, 0)])
  let rootCluster = 0
  if (bits === 32) {
    const chain = allocate(Math.ceil(content.length / clusterSize))
    place(chain, content)
    rootCluster = chain[0]!
  } else bytes.set(content, rootAt)
  bytes.set([0xeb, 0x3c, 0x90])
  view.setUint16(11, SECTOR, true)
  view.setUint8(13, sectorsPerCluster)
  view.setUint16(14, reserved, true)
  view.setUint8(16, 1)
  view.setUint16(17, bits === 32 ? 0 : ROOT_ENTRIES, true)
  view.setUint32(32, bytes.length / SECTOR, true)
  if (bits === 32) {
    view.setUint32(36, tableSectors, true)
    view.setUint32(44, rootCluster, true)
  } else view.setUint16(22, tableSectors, true)
  view.setUint16(510, 0x55aa)
  return bytes
}

function short(name: string, attributes: number, cluster: number, size: number): Uint8Array {
  const entry = new Uint8Array(ENTRY).fill(0x20, 0, 11)
  const view = new DataView(entry.buffer)
  const dots = /^\.+$/.test(name)
  const [stem, ending] = dots ? [name, ''] : (name.split('.') as [string, string?])
  entry.set(new TextEncoder().encode(stem.slice(0, 8)))
  if (ending) entry.set(new TextEncoder().encode(ending), 8)
  view.setUint8(11, attributes)
  view.setUint16(20, cluster >>> 16, true)
  view.setUint32(22, 0x5a5a5a5a, true)
  view.setUint16(26, cluster & 0xffff, true)
  view.setUint32(28, size, true)
  return entry
}

function longEntries(name: string): Uint8Array[] {
  const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]
  const parts = Math.ceil(name.length / 13)
  return Array.from({ length: parts }, (_, i) => {
    const order = parts - i
    const entry = new Uint8Array(ENTRY)
    const view = new DataView(entry.buffer)
    view.setUint8(0, order | (i === 0 ? 0x40 : 0))
    view.setUint8(11, 0x0f)
    places.forEach((place, at) => {
      const index = (order - 1) * 13 + at
      view.setUint16(place, index < name.length ? name.charCodeAt(index) : index === name.length ? 0 : 0xffff, true)
    })
    return entry
  })
}
