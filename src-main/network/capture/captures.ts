/**
 * Everything that is kept of a network thread's traffic, and what is asked of it: files, live lists, single packets and whole flows. Theory of operation: ports hand their frames to `see`, which
 * copies them into the port's store and does nothing else; whoever reads, reads from the stores, a piece at a time, so that a fast port is not slowed by a slow reader, who is told what
 * it missed. Nothing runs while nobody reads.
 */
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { formatDuration } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { PacketSummary } from '../../../src-shared/model/packet.ts'
import { parsePacketFilter, type PacketFilter } from '../../../src-shared/model/packet-filter.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { FlowView, PacketLayerView } from '../../../src-shared/threads/network-thread.ts'
import { parseMac, writeMac } from '../codec/ethernet.ts'
import { dissect } from './dissect/dissect.ts'
import type { Dissected } from './dissect/dissection.ts'
import { followFlow } from './follow-flow.ts'
import type { Direction, KeptFrame } from './frame-chunk.ts'
import { CaptureBudget, FrameStore } from './frame-store.ts'
import type { CaptureInterface } from './pcapng.ts'
import { saveCapture, type CapturedPort, type CaptureOrder } from './save-capture.ts'
import { Stamps } from './stamps.ts'

export type CaptureTarget = { port: string } | { network: string }

export interface CapturePort {
  /** `machine/nic` */
  port: string
  network: string
  /** As people call it: "web-1:nic0". */
  name: string
  /** Null: it has none of its own. */
  mac: string | null
}

/** ms between two looks for new packets. */
const LIVE_EVERY = 100
/** Packets of a port in one look of one reader. */
const LIVE_AT_ONCE = 2000
/** Kept packets that a reader is told of at first: a window lists no more. */
const KEPT_SHOWN = 5000
/** Kept packets that are looked through for a reader's filter: some two seconds of work, in pieces. */
const KEPT_SEARCHED = 200_000

/** Of alerts: bytes for each, and how many. */
const FROZEN = { bytes: 1024 * 1024, alerts: 50 } as const

interface Kept extends CapturePort {
  store: FrameStore
  /** What was kept for an alert: where that was, and its sentence. */
  alert?: { network: string; message: string }
}

/** The number of the frame that a reader looks at next, by store: a card that is plugged in again has another. */
type Cursors = WeakMap<FrameStore, number>

/** A packet's line, and when it passed. */
interface Found {
  at: number
  line: string
}
interface News {
  lines: string[]
  missed: number
}

export class Captures {
  #stamps = new Stamps()
  #budget: CaptureBudget
  #ports = new Map<string, Kept>()
  /**
   * Where the numbers of a store that begins now begin: readers know packets by their numbers, and must find no other one where a card was plugged in again. A thread's begin
   * behind those of the thread before it, whose ports had fewer frames than microseconds passed.
   */
  #first = Date.now() * 1000
  /** Captures that are written now, by their ids. */
  #saving = new Map<string, AbortController>()

  constructor(budget = new CaptureBudget()) {
    this.#budget = budget
  }

  /** Begins to keep a port's frames, or keeps other ones. @param bytes 0: none (and what was kept goes) */
  put(port: CapturePort, bytes: number): void {
    const before = this.#ports.get(port.port)
    if (before) before.store.setLimit(bytes)
    this.#ports.set(port.port, { ...port, store: before?.store ?? new FrameStore(bytes, this.#budget, this.#first) })
  }

  remove(port: string): void {
    const store = this.#ports.get(port)?.store
    if (!store) return
    store.clear()
    this.#ports.delete(port)
    this.#first = Math.max(this.#first, store.next)
  }

  /** A frame that passes a port. */
  see(port: string, frame: Uint8Array, direction: Direction): void {
    this.#ports.get(port)?.store.add(frame, direction, this.#stamps.now())
  }

  /** Keeps what passed a port until now for an alert; it is read as the port `alert/<id>` from then on. Of very many alerts the oldest ones' packets go. */
  freeze(alert: string, port: string, message: string): void {
    const kept = this.#ports.get(port)
    if (!kept || kept.store.limit === 0) return
    const frozen = [...this.#ports.keys()].filter((key) => key.startsWith('alert/'))
    if (frozen.length >= FROZEN.alerts) this.remove(frozen[0]!)
    const store = new FrameStore(FROZEN.bytes, this.#budget)
    for (const { bytes, direction, at } of kept.store.from(kept.store.newest(FROZEN.bytes))) store.add(bytes, direction, at)
    // It is in no network: its packets are not told twice.
    this.#ports.set(`alert/${alert}`, {
      ...{ ...kept, port: `alert/${alert}`, network: '', store },
      alert: { network: kept.network, message },
    })
  }

  keptBytes(port: string): number {
    return this.#ports.get(port)?.store.bytes ?? 0
  }

  /** See `capture` of network-thread.ts. */
  async save(
    target: CaptureTarget,
    order: Pick<CaptureOrder, 'path' | 'last' | 'duration'>,
    signal: AbortSignal,
    id: string | null = null,
  ): Promise<{ frames: number; bytes: number; path: string }> {
    const kept = this.#of(target)
    const ports = kept.map((one): CapturedPort => ({ store: one.store, about: interfaceOf(one) }))
    const comment = commentOf(target, order.last, kept)
    const end = new AbortController()
    if (id !== null) this.#saving.set(id, end)
    try {
      return await saveCapture(ports, { ...order, onlySent: 'network' in target, comment }, AbortSignal.any([signal, end.signal]))
    } finally {
      if (id !== null) this.#saving.delete(id)
    }
  }

  /** See `endCapture` of network-thread.ts. */
  end(id: string): void {
    this.#saving.get(id)?.abort()
  }

  /** See `packets` of network-thread.ts. Resolves when the reader is gone. @throws AppError for a filter that is none */
  async watch(target: CaptureTarget, filter: string, kept: boolean, stream: ByteStream, signal: AbortSignal): Promise<void> {
    const parsed = parsePacketFilter(filter)
    if (parsed.filter === null) throw AppError.invalid([{ path: 'filter', message: parsed.problem }])
    this.#of(target)
    const cursors: Cursors = new WeakMap()
    const isGone = (): boolean => stream.closed || signal.aborted
    let first = true
    while (!isGone()) {
      // Ports come and go in a network.
      const { lines, missed } =
        first && kept ? await this.#kept(target, cursors, parsed.filter, isGone) : this.#news(target, cursors, parsed.filter, !first)
      first = false
      if (missed > 0) lines.push(JSON.stringify({ missed }))
      if (lines.length > 0) await stream.write(utf8(`${lines.join('\n')}\n`))
      await sleep(LIVE_EVERY, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  packet(id: string): (PacketSummary & { layers: PacketLayerView[]; bytes: Uint8Array<ArrayBuffer> }) | null {
    const found = this.#find(id)
    if (!found) return null
    const { kept, frame } = found
    const dissected = dissect(frame.bytes)
    return { ...summary(kept, frame, dissected), layers: dissected.layers, bytes: frame.bytes.slice() }
  }

  flow(id: string): FlowView | null {
    const found = this.#find(id)
    return found && followFlow(found.kept.store, found.frame)
  }

  #find(id: string): { kept: Kept; frame: KeptFrame } | null {
    const [, port, number] = /^(.{1,80})#(\d{1,16})$/.exec(id) ?? []
    const kept = port === undefined ? undefined : this.#ports.get(port)
    const frame = kept?.store.get(Number(number)) ?? null
    return kept && frame ? { kept, frame } : null
  }

  /** @throws AppError `not-found`, `wrong-state` where nothing of it is kept */
  #of(target: CaptureTarget): Kept[] {
    const all = [...this.#ports.values()]
    const ports =
      'port' in target ? all.filter(({ port }) => port === target.port) : all.filter(({ network }) => network === target.network)
    if ('port' in target && ports.length === 0)
      throw new AppError('not-found', 'This network card is not plugged in now. Start its machine first.')
    const kept = ports.filter(({ store }) => store.limit > 0)
    if (ports.length > 0 && kept.length === 0)
      throw new AppError(
        'wrong-state',
        'Nothing is kept of what passes here: the machine is marked private, or the network keeps no packets. Change that in its settings.',
      )
    return kept
  }

  /**
   * What is kept and passes the filter. The newest frames of each port are looked at first, a piece at a time, so that no port is kept waiting. `missed`: were not looked at, or
   * are not told.
   */
  async #kept(target: CaptureTarget, cursors: Cursors, filter: PacketFilter, isGone: () => boolean): Promise<News> {
    const ports = this.#about(target)
    for (const { store } of ports) cursors.set(store, store.next)
    const found: Found[] = []
    let missed = 0
    const keepNewest = (): void => {
      found.sort((a, b) => a.at - b.at)
      missed += found.splice(0, Math.max(0, found.length - KEPT_SHOWN)).length
    }
    for (const kept of ports) {
      const { store } = kept
      const { oldest } = store
      const least = found.length + LIVE_AT_ONCE
      let left = Math.ceil(KEPT_SEARCHED / ports.length)
      let before = cursors.get(store)!
      while (before > store.oldest && left > 0 && found.length < least && !isGone()) {
        const from = Math.max(store.oldest, before - Math.min(left, LIVE_AT_ONCE))
        left -= before - from
        found.push(...this.#look(target, kept, from, before, filter))
        before = from
        await turn()
      }
      missed += Math.max(0, before - oldest)
      // Of very many ports not all lines are held at a time.
      if (found.length > 4 * KEPT_SHOWN) keepNewest()
    }
    keepNewest()
    return { lines: found.map(({ line }) => line), missed }
  }

  /** What came since the last look, of all ports in the order of its times. */
  #news(target: CaptureTarget, cursors: Cursors, filter: PacketFilter, old: boolean): News {
    const found: Found[] = []
    let missed = 0
    for (const kept of this.#about(target)) {
      const { store } = kept
      const cursor = cursors.get(store) ?? (old ? store.oldest : store.next)
      missed += Math.max(0, store.oldest - cursor)
      // Of very many the newest.
      const start = Math.max(cursor, store.oldest, store.next - LIVE_AT_ONCE)
      missed += Math.max(0, start - Math.max(cursor, store.oldest))
      found.push(...this.#look(target, kept, start, store.next, filter))
      cursors.set(store, store.next)
    }
    found.sort((a, b) => a.at - b.at)
    return { lines: found.map(({ line }) => line), missed }
  }

  #about(target: CaptureTarget): Kept[] {
    return [...this.#ports.values()].filter((kept) => ('port' in target ? kept.port === target.port : kept.network === target.network))
  }

  /** Frames of a port from one number up to another that pass the filter. */
  #look(target: CaptureTarget, kept: Kept, from: number, to: number, filter: PacketFilter): Found[] {
    const found: Found[] = []
    for (const frame of kept.store.from(from)) {
      if (frame.number >= to) break
      // In a network every frame is sent by one plug, and may come to many.
      if (!('port' in target) && frame.direction === 'in') continue
      const dissected = dissect(frame.bytes)
      const one = summary(kept, frame, dissected)
      const names = new Set([...dissected.names, frame.direction])
      if (filter({ ...dissected, names, text: lineOf(one) })) found.push({ at: frame.at, line: JSON.stringify(one) })
    }
    return found
  }
}

function summary(
  { port, network }: CapturePort,
  { number, at, direction, bytes }: KeptFrame,
  { source, destination, protocol, info }: Dissected,
): PacketSummary {
  return { id: `${port}#${number}`, at, network, port, direction, source, destination, protocol, length: bytes.length, info }
}

/** What text in a filter is looked for in. */
function lineOf({ source, destination, protocol, info }: PacketSummary): string {
  return `${source} ${destination} ${protocol} ${info}`
}

function interfaceOf({ name, network, alert, mac }: Kept): CaptureInterface {
  const bytes = mac === null ? null : new Uint8Array(6)
  if (bytes) writeMac(bytes, 0, parseMac(mac!))
  return { name, description: `In the network “${alert?.network ?? network}”, as the machine sees it`, mac: bytes }
}

/** What a file holds, for who finds it. */
function commentOf(target: CaptureTarget, last: number | null, [first]: readonly Kept[]): string {
  const now = new Date().toISOString()
  if (first?.alert) return `What led to an alert in the network “${first.alert.network}”: ${first.alert.message}`
  const when = last === null ? `from ${now} on` : `what was kept of the ${formatDuration(last)} before ${now}`
  return 'network' in target
    ? `The network “${target.network}”, each packet once, where it was sent: ${when}`
    : `${first?.name} in the network “${first?.network}”: ${when}`
}
