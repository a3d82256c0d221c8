/**
 * Intrusion detection from outside of the guests, for one network. Theory of operation: every frame that a machine sends is shown to the detectors that are on; most frames are the middle of a
 * TCP connection, which nobody but patterns asks about, and cost a few comparisons. What a detector finds becomes an alert; the same again only raises the alert's count, which is told now and then,
 * until it has been quiet for a while. What is found may be of the machine's own making (an address for each frame): of very many of one kind the latest alert stands for all.
 * Machines are taken at their card's word for nothing: the port tells who they are.
 */
import { newId } from '../../../src-shared/base/ids.ts'
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import type { Watch, WatchRules } from '../../../src-shared/model/network.ts'
import type { NetworkAlert } from '../../../src-shared/threads/network-thread.ts'
import type { Clock } from '../clock.ts'
import { formatMac } from '../codec/ethernet.ts'
import { TtlMap } from '../policy/ttl-map.ts'
import { arpSpoofing } from './detectors/arp-spoofing.ts'
import { dhcpStarvation } from './detectors/dhcp-starvation.ts'
import { dnsTunnel } from './detectors/dns-tunnel.ts'
import { macFlooding } from './detectors/mac-flooding.ts'
import { patterns } from './detectors/patterns.ts'
import { portScan } from './detectors/port-scan.ts'
import { isPlainData, seenOf, type Detector, type Finding } from './seen.ts'

/** ms of quiet after which the same is a new alert. */
const QUIET = 60_000
/** ms between two tellings of a count. */
const TOLD_EVERY = 2000
const MAX_OPEN = 256
/** Alerts of one kind about one port within QUIET: more are counted by the last of them. */
const MAX_OF_KIND = 8

export interface WatchedPort {
  port: string
  /** As people call it. */
  name: string
  mac: number
}

export interface WatcherParts {
  network: string
  clock: Clock
  /** The card that has an address by right; null: nobody is known to. */
  ownerOf(address: IpAddress): number | null
  /** A new alert, or one whose count has grown. `cut`: its port is to be cut. */
  onAlert(alert: NetworkAlert): void
}

interface Open {
  alert: NetworkAlert
  /** ms, when its count was told last. */
  told: number
}

export class Watcher {
  #parts: WatcherParts
  #rules: WatchRules
  #detectors: { watch: Watch; detect: Detector }[] = []
  #patterns: Detector | null = null
  #open: TtlMap<string, Open>
  /** By port and kind. */
  #kinds: TtlMap<string, { since: number; alerts: number; last: Open }>

  constructor(rules: WatchRules, parts: WatcherParts) {
    this.#parts = parts
    this.#open = new TtlMap(MAX_OPEN, parts.clock)
    this.#kinds = new TtlMap(MAX_OPEN, parts.clock)
    this.#rules = rules
    this.set(rules)
  }

  /** What was counted so far is forgotten. */
  set(rules: WatchRules): void {
    this.#rules = rules
    const { clock, ownerOf } = this.#parts
    const all: Record<Exclude<Watch, 'pattern'>, () => Detector> = {
      'port-scan': portScan,
      'arp-spoofing': () => arpSpoofing(clock, ownerOf),
      'mac-flooding': macFlooding,
      'dhcp-starvation': dhcpStarvation,
      'dns-tunnel': dnsTunnel,
    }
    const on = (watch: Watch): boolean => rules.enabled && !rules.off.includes(watch)
    this.#detectors = Object.entries(all).flatMap(([name, make]) => (on(name as Watch) ? [{ watch: name as Watch, detect: make() }] : []))
    this.#patterns = on('pattern') ? patterns(rules.patterns) : null
  }

  /** A frame that a machine sends. */
  see(from: WatchedPort, frame: Uint8Array): void {
    if ((this.#detectors.length === 0 && !this.#patterns) || (!this.#patterns && isPlainData(frame))) return
    const seen = seenOf(from.port, from.mac, frame, this.#parts.clock.now())
    for (const { watch, detect } of this.#detectors) {
      const finding = detect(seen)
      if (finding) this.#found(from, watch, finding)
    }
    const finding = this.#patterns?.(seen)
    if (finding) this.#found(from, 'pattern', finding)
  }

  #found({ port, name, mac }: WatchedPort, watch: Watch, { about, message }: Finding): void {
    const { network, clock, onAlert } = this.#parts
    const now = clock.now()
    const key = `${port} ${watch} ${about}`
    const kind = this.#kinds.touch(`${port} ${watch}`, QUIET)
    const isFlood = kind !== undefined && kind.alerts >= MAX_OF_KIND && now - kind.since < QUIET
    const open = this.#open.touch(key, QUIET) ?? (isFlood ? kind.last : undefined)
    const cut = this.#rules.cut.includes(watch)
    if (open) {
      // A rule that came meanwhile is in force at once.
      const isNews = cut && !open.alert.cut
      open.alert = { ...open.alert, count: open.alert.count + 1, cut }
      if (now - open.told < TOLD_EVERY && !isNews) return
      open.told = now
      onAlert(open.alert)
      return
    }
    const alert: NetworkAlert = {
      ...{ id: newId(), at: clock.date(), network, port, mac: formatMac(mac), watch, count: 1 },
      message: message.replace('{name}', `“${name}”`),
      cut,
    }
    const last = { alert, told: now }
    this.#open.set(key, last, QUIET)
    const goesOn = kind !== undefined && now - kind.since < QUIET
    this.#kinds.set(`${port} ${watch}`, { since: goesOn ? kind.since : now, alerts: goesOn ? kind.alerts + 1 : 1, last }, QUIET)
    onAlert(alert)
  }
}
