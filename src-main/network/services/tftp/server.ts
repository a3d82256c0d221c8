/**
 * TFTP (RFC 1350) for machines that boot from the network: files of one folder, to be read. Each transfer has a port of its own (4). Options: blksize (RFC 2348), tsize
 * and timeout (RFC 2349), windowsize (RFC 7440).
 */
import { randomInt } from 'node:crypto'
import { DisposableStore, type Disposable } from '../../../../src-shared/base/disposable.ts'
import { formatIp } from '../../../../src-shared/model/ip.ts'
import type { Clock } from '../../clock.ts'
import type { UdpReply, UdpRequest, UdpServices } from '../../gateway/udp-service.ts'
import { buildTftp, parseTftp, TFTP_ERROR, type TftpRequest } from './codec.ts'
import { openIn, type Refused, type ServedFile } from './folder.ts'
import { Transfer } from './transfer.ts'

const PORT = 69
/** Of all machines, and of one. */
const MAX_TRANSFERS = 128
const MAX_TRANSFERS_EACH = 8
/** Bytes of a block unless something else is agreed (RFC 1350, 2), the least, and the most that fit into a packet of an Ethernet, over IPv4 and IPv6. */
const PLAIN_BLOCK = 512
const LEAST_BLOCK = 8
const MOST_BLOCK = { 4: 1468, 16: 1448 } as const
/** Blocks. */
const MOST_WINDOW = 64
/** RFC 6335, 6: ports that are nobody's. */
const PORTS = [49_152, 65_536] as const
const PORT_TRIES = 16

const REFUSALS: Record<Refused, { code: number; message: string }> = {
  'not found': { code: TFTP_ERROR.notFound, message: 'There is no such file' },
  refused: { code: TFTP_ERROR.refused, message: 'This may not be read' },
  'too large': { code: TFTP_ERROR.other, message: 'The file is too large' },
}

export class TftpServer implements Disposable {
  readonly #udp: UdpServices
  readonly #clock: Clock
  readonly #listening: Disposable
  /** By who asked: address and port. Null: its file is being opened. */
  readonly #transfers = new Map<string, { mac: number; transfer: Transfer | null }>()
  #folder: string
  #disposed = false

  /** @param folder absolute */
  constructor(folder: string, udp: UdpServices, clock: Clock) {
    this.#folder = folder
    this.#udp = udp
    this.#clock = clock
    this.#listening = udp.listen({ port: PORT, receive: (datagram, reply) => this.#receive(datagram, reply) })
  }

  /** For transfers that begin from now on. */
  setFolder(folder: string): void {
    this.#folder = folder
  }

  /** That run. */
  get transfers(): number {
    return this.#transfers.size
  }

  dispose(): void {
    this.#disposed = true
    this.#listening.dispose()
    for (const { transfer } of [...this.#transfers.values()]) transfer?.dispose()
  }

  #receive(datagram: UdpRequest, reply: UdpReply): void {
    const packet = parseTftp(datagram.payload)
    if (packet?.kind === 'write') refuse(reply, TFTP_ERROR.refused, 'Files are only read here')
    else if (packet?.kind !== 'read') return
    else if (packet.mode !== 'octet' && packet.mode !== 'netascii') refuse(reply, TFTP_ERROR.illegal, 'The modes are octet and netascii')
    else this.#begin(packet, datagram, reply)
  }

  #begin(request: TftpRequest, { source, sourcePort, sourceMac }: UdpRequest, reply: UdpReply): void {
    const peer = `${formatIp(source)} ${sourcePort}`
    // It asks again because it has not heard yet: what is sent again anyway is its answer.
    if (this.#transfers.has(peer)) return
    let own = 0
    for (const { mac } of this.#transfers.values()) if (mac === sourceMac) own++
    if (own >= MAX_TRANSFERS_EACH || this.#transfers.size >= MAX_TRANSFERS) {
      refuse(reply, TFTP_ERROR.other, 'Too many files are being sent')
      return
    }
    const entry = { mac: sourceMac, transfer: null as Transfer | null }
    this.#transfers.set(peer, entry)
    void openIn(this.#folder, request.file, request.mode === 'netascii').then((file) => {
      if (typeof file !== 'string' && !this.#disposed) entry.transfer = this.#start(request, file, peer, source.length as 4 | 16, reply)
      if (entry.transfer) return
      this.#transfers.delete(peer)
      if (typeof file !== 'string') void file.close().catch(() => {})
      else if (!this.#disposed) refuse(reply, REFUSALS[file].code, REFUSALS[file].message)
    })
  }

  /** Null: there is no port for it. */
  #start({ options, mode }: TftpRequest, file: ServedFile, peer: string, addressBytes: 4 | 16, reply: UdpReply): Transfer | null {
    const owned = new DisposableStore()
    let transfer: Transfer | null = null
    const port = this.#listen(owned, ({ payload, source, sourcePort }, answer) => {
      const packet = parseTftp(payload)
      if (`${formatIp(source)} ${sourcePort}` !== peer) {
        // RFC 1350, 4: it goes on for who it belongs to.
        if (packet && packet.kind !== 'error') refuse(answer, TFTP_ERROR.unknownTransfer, 'This transfer is another’s')
      } else if (packet) transfer?.receive(packet)
    })
    if (port === null) return null
    const { agreed, ...terms } = agree(options, file.size, mode, MOST_BLOCK[addressBytes])
    transfer = new Transfer({
      ...terms,
      agreed,
      file,
      clock: this.#clock,
      send: (packet) => reply(packet, { sourcePort: port }),
      done: () => {
        owned.dispose()
        this.#transfers.delete(peer)
      },
    })
    transfer.start()
    return transfer
  }

  #listen(owned: DisposableStore, receive: (datagram: UdpRequest, reply: UdpReply) => void): number | null {
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      const port = randomInt(...PORTS)
      try {
        owned.add(this.#udp.listen({ port, receive }))
        return port
      } catch {
        // Taken: another one.
      }
    }
    owned.dispose()
    return null
  }
}

function refuse(reply: UdpReply, code: number, message: string): void {
  reply(buildTftp({ kind: 'error', code, message }))
}

/** What of the wished options is had, and how. Those that are unknown or senseless are left out, as if they had not been wished (RFC 2347, 5). */
function agree(
  wished: ReadonlyMap<string, string>,
  size: number,
  mode: string,
  mostBlock: number,
): { blockSize: number; window: number; timeout: number | null; agreed: Map<string, string> } {
  const agreed = new Map<string, string>()
  const numberOf = (name: string, least: number, most: number): number | null => {
    const text = wished.get(name)
    const value = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : -1
    return value >= least && value <= most ? value : null
  }
  let blockSize = PLAIN_BLOCK
  const wishedBlock = numberOf('blksize', LEAST_BLOCK, 65_464)
  if (wishedBlock !== null) agreed.set('blksize', String((blockSize = Math.min(wishedBlock, mostBlock))))
  const seconds = numberOf('timeout', 1, 255)
  if (seconds !== null) agreed.set('timeout', String(seconds))
  let window = 1
  const wishedWindow = numberOf('windowsize', 1, 65_535)
  if (wishedWindow !== null) agreed.set('windowsize', String((window = Math.min(wishedWindow, MOST_WINDOW))))
  // What text is as long as shows only when it is written.
  if (wished.has('tsize') && mode === 'octet') agreed.set('tsize', String(size))
  return { blockSize, window, timeout: seconds === null ? null : seconds * 1000, agreed }
}
