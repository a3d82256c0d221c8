/**
 * Echo of machines to outside (RFC 792; RFC 4443, 4). Sockets that send it are a right that programs mostly lack, and Node has none. The system's own `ping` may: it is run once
 * for each request, some at a time and some a second; what is beyond is lost, as routers do it too. The machine gets its reply, with its own data, when and only when ping got
 * one from that address, later by what starting a program takes (some ms). Where there is no ping, or it may not, requests are refused as prohibited: nothing is made up.
 */
import { execFile } from 'node:child_process'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { buildIcmp, ICMP, ICMPV6, parseIcmp, type IcmpMessage } from '../../codec/icmp.ts'
import { PROTOCOL } from '../../codec/ip.ts'
import type { Clock } from '../../clock.ts'
import type { IncomingPacket, IpOutput, Refusal } from '../../ip-output.ts'
import { keepWhole } from '../kept-packet.ts'

const MAX_AT_ONCE = 16
const MAX_PER_SECOND = 20
const TIMEOUT_S = 4

/** What one ping found: a reply; none; that there is no way; or that it cannot ask. */
export type PingResult = 'reply' | 'silence' | 'unreachable' | 'unsupported'
export type Ping = (address: string, bytes: number, signal: AbortSignal) => Promise<PingResult>

export class EchoOutside implements Disposable {
  readonly #output: IpOutput
  readonly #clock: Clock
  readonly #ping: Ping
  readonly #stop = new AbortController()
  #running = 0
  #second = 0
  #started = 0
  state: 'works' | 'unsupported' | null = null

  constructor(output: IpOutput, clock: Clock, ping: Ping = systemPing) {
    this.#output = output
    this.#clock = clock
    this.#ping = ping
  }

  /** @param address that the host asks */
  receive(packet: IncomingPacket, address: IpAddress | Refusal): void {
    const message = parseIcmp(packet)
    if (!message || message.type !== (packet.version === 4 ? ICMP.echoRequest : ICMPV6.echoRequest)) return
    if (!(address instanceof Uint8Array)) return this.#output.refuse(packet, address)
    if (this.state === 'unsupported') return this.#output.refuse(packet, 'prohibited')
    const second = Math.floor(this.#clock.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#started = 0
    }
    if (this.#running >= MAX_AT_ONCE || this.#started >= MAX_PER_SECOND) return
    this.#running++
    this.#started++
    const kept = keepWhole(packet)
    void this.#ping(formatIp(address), message.body.length, this.#stop.signal).then((result) => {
      this.#running--
      if (!this.#stop.signal.aborted) this.#answer(kept, result)
    })
  }

  dispose(): void {
    this.#stop.abort()
  }

  #answer(packet: IncomingPacket, result: PingResult): void {
    if (result === 'unsupported') {
      this.state = 'unsupported'
      this.#output.refuse(packet, 'prohibited')
      return
    }
    this.state = 'works'
    if (result === 'unreachable') this.#output.refuse(packet, 'host')
    if (result !== 'reply') return
    const v4 = packet.version === 4
    const reply: IcmpMessage = { ...parseIcmp(packet)!, type: v4 ? ICMP.echoReply : ICMPV6.echoReply, code: 0 }
    const { source: destination, destination: source, sourceMac } = packet
    this.#output.send(
      { source, destination, protocol: v4 ? PROTOCOL.icmp : PROTOCOL.icmpv6 },
      buildIcmp(source, destination, reply),
      sourceMac,
    )
  }
}

/** One request by the system's program. @param bytes of data. Resolves always. */
export function systemPing(address: string, bytes: number, signal: AbortSignal): Promise<PingResult> {
  const six = address.includes(':')
  const size = String(Math.min(bytes, 65_000))
  const [program, args] =
    process.platform === 'win32'
      ? ['ping', ['-n', '1', '-w', String(TIMEOUT_S * 1000), '-l', size, address]]
      : process.platform === 'darwin'
        ? [
            six ? 'ping6' : 'ping',
            six ? ['-n', '-c', '1', '-s', size, address] : ['-n', '-c', '1', '-t', String(TIMEOUT_S), '-s', size, address],
          ]
        : ['ping', ['-n', '-c', '1', '-W', String(TIMEOUT_S), '-s', size, address]]
  return new Promise((resolve) => {
    const options = {
      signal,
      timeout: (TIMEOUT_S + 2) * 1000,
      killSignal: 'SIGKILL',
      windowsHide: true,
      env: { ...process.env, LC_ALL: 'C' },
    } as const
    try {
      const child = execFile(program, args, options, (error, stdout, stderr) => resolve(judgePing(error?.code ?? 0, stdout, stderr)))
      child.unref()
    } catch {
      resolve('unsupported')
    }
  })
}

/** From what ping ends with and says (iputils, BSD, Windows). @param code its status, or why it did not run */
export function judgePing(code: number | string | null | undefined, stdout: string, stderr: string): PingResult {
  if (typeof code === 'string') return code === 'ENOENT' || code === 'EACCES' || code === 'EPERM' ? 'unsupported' : 'silence'
  if (/permitted|permission|lacking privilege/i.test(stderr)) return 'unsupported'
  if (/unreachable|no route/i.test(stdout + stderr)) return 'unreachable'
  return code === 0 && /ttl=|hlim=|time[=<]/i.test(stdout) ? 'reply' : 'silence'
}
