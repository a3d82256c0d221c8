/**
 * One file on its way to a machine (RFC 1350; windows RFC 7440). Blocks are sent in windows of some, each acknowledged by the number of its last block, or of the last
 * before one that was lost: the next window begins behind it. An acknowledgement of what was acknowledged before moves nothing, or each that came twice would double all
 * that follows (RFC 1123, 4.2.3.1). What is not acknowledged in time is sent again, until it is too often.
 */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import type { Clock } from '../../clock.ts'
import { buildTftp, TFTP_ERROR, type TftpPacket } from './codec.ts'
import type { ServedFile } from './folder.ts'

/** How often one window is sent. */
const MAX_TRIES = 6

export interface TransferOptions {
  file: ServedFile
  /** Bytes. */
  blockSize: number
  /** Blocks. */
  window: number
  /** ms, for each try; null: a second, then two, and so on. */
  timeout: number | null
  /** What was agreed; empty: nothing, the first block is sent at once. */
  agreed: Map<string, string>
  clock: Clock
  send: (packet: Uint8Array) => void
  /** Called once, when it is over, whatever way. The file is closed then. */
  done: () => void
}

export class Transfer implements Disposable {
  readonly #options: TransferOptions
  /** Blocks, counted from 1 without end. 0 is what was agreed. */
  readonly #last: number
  #acknowledged: number
  #sent = 0
  /** What waits for its acknowledgement, as it was sent. */
  #packets: Uint8Array[] = []
  #tries = 0
  #timer: Disposable | null = null
  #over = false

  constructor(options: TransferOptions) {
    this.#options = options
    // A last block that is not full, empty if need be, tells the end.
    this.#last = Math.floor(options.file.size / options.blockSize) + 1
    this.#acknowledged = options.agreed.size > 0 ? -1 : 0
  }

  start(): void {
    void this.#next()
  }

  receive(packet: TftpPacket): void {
    if (this.#over) return
    // Whatever it says: it ends.
    if (packet.kind === 'error') this.dispose()
    if (packet.kind !== 'ack') return
    const forward = (packet.block - this.#acknowledged) & 0xffff
    const block = this.#acknowledged + forward
    if (forward === 0 || block > this.#sent || this.#packets.length === 0) return
    this.#acknowledged = block
    if (block >= this.#last) this.dispose()
    else void this.#next()
  }

  dispose(): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.dispose()
    this.#packets = []
    void this.#options.file.close().catch(() => {})
    this.#options.done()
  }

  async #next(): Promise<void> {
    const { file, blockSize, window, agreed } = this.#options
    this.#timer?.dispose()
    this.#packets = []
    const from = this.#acknowledged + 1
    if (from === 0) {
      this.#sent = 0
      this.#packets = [buildTftp({ kind: 'options', options: agreed })]
    } else {
      const count = Math.min(window, this.#last - from + 1)
      const offset = (from - 1) * blockSize
      const wanted = Math.min(count * blockSize, file.size - offset)
      const bytes = await file.read(offset, wanted).catch(() => null)
      if (this.#over) return
      if (bytes?.length !== wanted) {
        this.#options.send(buildTftp({ kind: 'error', code: TFTP_ERROR.other, message: 'The file cannot be read any further' }))
        this.dispose()
        return
      }
      this.#sent = from + count - 1
      this.#packets = Array.from({ length: count }, (_, at) =>
        buildTftp({ kind: 'data', block: (from + at) & 0xffff, bytes: bytes.subarray(at * blockSize, (at + 1) * blockSize) }),
      )
    }
    this.#tries = 0
    this.#sendAll()
  }

  #sendAll(): void {
    const { send, clock, timeout } = this.#options
    if (this.#tries++ === MAX_TRIES) {
      this.dispose()
      return
    }
    for (const packet of this.#packets) send(packet)
    this.#timer = clock.after(timeout ?? 1000 * 2 ** (this.#tries - 1), () => this.#sendAll())
  }
}
