/** Where a disk's bytes are, as a block node's innermost part: a file, or a disk on the network that QEMU reaches itself. */
import { isNetworkAddress, parseNetworkDisk, type NbdAddress } from '../../../../src-shared/model/network-disk.ts'

/** Seconds for which requests wait for an NBD server that is gone to come back; then the guest is told of an error. As our own client does. */
const RECONNECT = 10

/** @throws Error for an address that is none, which no configuration has */
export function fileNode(path: string): { driver: string } & Record<string, unknown> {
  if (!isNetworkAddress(path)) return { driver: 'file', filename: path }
  const disk = parseNetworkDisk(path)
  if (typeof disk === 'string') throw new Error(disk)
  switch (disk.kind) {
    case 'nbd':
      return { driver: 'nbd', server: nbdServer(disk), export: disk.exportName, 'reconnect-delay': RECONNECT }
    case 'iscsi':
      return { driver: 'iscsi', transport: 'tcp', portal: portal(disk.host, disk.port), target: disk.target, lun: disk.lun }
    case 'nfs':
      return { driver: 'nfs', server: { type: 'inet', host: disk.host }, path: disk.path }
  }
}

function nbdServer({ at }: NbdAddress): Record<string, string> {
  return at.kind === 'unix' ? { type: 'unix', path: at.path } : { type: 'inet', host: at.host, port: String(at.port) }
}

function portal(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
