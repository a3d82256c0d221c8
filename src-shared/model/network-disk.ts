/**
 * Addresses of disks on the network, as a drive's path has them. NBD: the NBD project's URI specification (doc/uri.md), without its TLS forms. iSCSI and
 * NFS: as libiscsi's and libnfs's URLs, without what stands for passwords and options: an address is kept in machine.json and shown.
 */
export type NetworkDisk = NbdAddress | IscsiAddress | NfsAddress

export interface NbdAddress {
  kind: 'nbd'
  at: { kind: 'tcp'; host: string; port: number } | { kind: 'unix'; path: string }
  /** May be empty: the server's default one. */
  exportName: string
}

export interface IscsiAddress {
  kind: 'iscsi'
  host: string
  port: number
  /** "iqn.2026-11.org.example:disk" */
  target: string
  lun: number
}

export interface NfsAddress {
  kind: 'nfs'
  host: string
  /** Absolute, on the server. */
  path: string
}

/** NBD_MAX_STRING (NBD protocol document, "Values"). Bytes. */
const MAX_EXPORT = 4096
const PORTS = { nbd: 10809, iscsi: 3260 } as const
const MAX_PORT = 65535
/** Largest logical unit number that a SCSI address of a flat kind has (SAM-5 section 4.7). */
const MAX_LUN = 16383

/** Whether a path is an address and no file's; it may be a wrong one. Windows drives have one letter. */
export function isNetworkAddress(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path)
}

/** @returns what is wrong with the address, as a sentence, where something is */
export function parseNetworkDisk(text: string): NetworkDisk | string {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]+):\/\/(.*)$/is.exec(text) ?? []
  if (/[\0-\x20\x7f]/.test(rest)) return 'An address has no spaces: write %20 for one.'
  switch (scheme.toLowerCase()) {
    case 'nbd':
      return nbd(rest)
    case 'nbd+unix':
      return nbdUnix(rest)
    case 'nbds':
    case 'nbds+unix':
      return 'Coppice speaks NBD without TLS only. Use nbd:// inside of a network that you trust, or through a tunnel (SSH, WireGuard).'
    case 'iscsi':
      return iscsi(rest)
    case 'nfs':
      return nfs(rest)
    default:
      return `Coppice knows no disks at “${scheme}://”. Write nbd://HOST/EXPORT, iscsi://HOST/TARGET/LUN or nfs://HOST/PATH.`
  }
}

interface Place {
  host: string
  /** Null: the usual one. */
  port: number | null
  /** After the host, with its slash; undecoded. */
  path: string
}

/** RFC 3986 section 3.2, without user information. */
function placeOf(rest: string): Place | string {
  const [, authority = '', path = ''] = /^([^/?#]*)(.*)$/s.exec(rest) ?? []
  if (authority.includes('@')) return 'An address has no user and no password in it: it would be seen by others. Coppice connects without.'
  const [, v6, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/i.exec(authority) ?? []
  const host = v6 ?? name ?? ''
  if (host === '') return 'The address names no host. Write it as in nbd://server:10809/disk.'
  const port = digits === undefined ? null : Number(digits)
  if (port !== null && (port < 1 || port > MAX_PORT)) return `${digits} is not a port: there are 1 to ${MAX_PORT}.`
  if (/[?#]/.test(path)) return 'The address has options behind a “?” or “#”, which Coppice does not know. Leave them away.'
  return { host, port, path }
}

function nbd(rest: string): NetworkDisk | string {
  const place = placeOf(rest)
  if (typeof place === 'string') return place
  const exportName = decoded(place.path.replace(/^\//, ''))
  return (
    exportProblem(exportName) ?? {
      kind: 'nbd',
      at: { kind: 'tcp', host: place.host, port: place.port ?? PORTS.nbd },
      exportName: exportName!,
    }
  )
}

function nbdUnix(rest: string): NetworkDisk | string {
  const [, path = '', query = ''] = /^\/([^?#]*)\?socket=([^&#]+)$/s.exec(rest) ?? []
  const socket = decoded(query)
  if (socket === null || !socket.startsWith('/') || socket.includes('\0'))
    return 'An NBD address on this computer is nbd+unix:///EXPORT?socket=PATH, with the full path of the socket.'
  const exportName = decoded(path)
  return exportProblem(exportName) ?? { kind: 'nbd', at: { kind: 'unix', path: socket }, exportName: exportName! }
}

function exportProblem(name: string | null): string | null {
  if (name === null) return 'The name of the export cannot be read: a “%” must be followed by two hexadecimal digits.'
  if (new TextEncoder().encode(name).length > MAX_EXPORT) return `The name of an NBD export has at most ${MAX_EXPORT} bytes.`
  return name.includes('\0') ? 'The name of an NBD export has no zero bytes.' : null
}

function iscsi(rest: string): NetworkDisk | string {
  const place = placeOf(rest)
  if (typeof place === 'string') return place
  const [, target, lun] = /^\/([^/]+)\/(\d{1,5})$/.exec(place.path) ?? []
  if (target === undefined || Number(lun) > MAX_LUN)
    return 'An iSCSI address is iscsi://HOST[:PORT]/TARGET/LUN, as in iscsi://server/iqn.2026-11.org.example:disk/0.'
  return { kind: 'iscsi', host: place.host, port: place.port ?? PORTS.iscsi, target, lun: Number(lun) }
}

function nfs(rest: string): NetworkDisk | string {
  const place = placeOf(rest)
  if (typeof place === 'string') return place
  if (place.port !== null) return 'An NFS address has no port. Write nfs://HOST/PATH.'
  const path = decoded(place.path)
  if (path === null || !/^\/.*[^/]$/s.test(path) || path.includes('\0'))
    return 'An NFS address is nfs://HOST/PATH, with the path of an image file on the server.'
  return { kind: 'nfs', host: place.host, path }
}

/** RFC 3986 section 2.1. Null: no such encoding of UTF-8. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** For sentences: "NBD". */
export const NETWORK_WORDS: Record<NetworkDisk['kind'], string> = { nbd: 'NBD', iscsi: 'iSCSI', nfs: 'NFS' }
