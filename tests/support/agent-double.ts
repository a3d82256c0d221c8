/** The guest's end of an agent's port: an agent that does as it should, or one that a hostile guest would run instead. */
import type { AgentChannel } from '../../src-main/engines/engine.ts'
import { utf8 } from '../../src-shared/base/bytes.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import { KiB, MiB } from '../../src-shared/base/units.ts'

export const HOSTILE = [
  'silent', // takes everything and says nothing
  'flood', // sends lines without end, asked or not
  'endless', // sends one line that never ends
  'huge', // answers with a line of 1 GiB
  'many', // answers with a million values in few bytes
  'half', // stops in the middle of an answer
  'strangers', // answers to another number than was asked for
  'garbage', // in step, but then answers what is no JSON
  'shapeless', // in step, but then answers JSON of any shape
] as const
export type Behaviour = 'good' | (typeof HOSTILE)[number]

interface Request {
  execute: string
  arguments?: Record<string, unknown>
}

const CHUNK = utf8(`${'x'.repeat(64 * KiB - 1)}\n`)

export class AgentDouble implements AgentChannel {
  behaviour: Behaviour
  open = true
  /** What was asked, in order. */
  readonly requests: Request[] = []
  /** Answers of its own to some commands: what is returned, or an error's words. */
  readonly answers = new Map<string, { return: unknown } | { error: string }>()
  /** Bytes that were sent and taken. */
  sent = 0
  #listening = false
  #pending = ''
  #sending = false
  #onOpen = new Emitter<boolean>()
  #onOutput = new Emitter<Uint8Array>()

  readonly onOpen = this.#onOpen.event
  readonly onOutput = this.#onOutput.event

  constructor(behaviour: Behaviour = 'good') {
    this.behaviour = behaviour
  }

  listen(on: boolean): void {
    this.#listening = on
    if (on && (this.behaviour === 'flood' || this.behaviour === 'endless')) this.#pour(Infinity)
  }

  setOpen(open: boolean): void {
    this.open = open
    this.#onOpen.fire(open)
  }

  write(bytes: Uint8Array): Promise<void> {
    if (!this.open) return Promise.reject(new Error('closed'))
    this.#pending += Buffer.from(bytes).toString('latin1')
    for (let end = this.#pending.indexOf('\n'); end >= 0; end = this.#pending.indexOf('\n')) {
      const request = JSON.parse(this.#pending.slice(0, end).replace('\u00ff', '')) as Request
      this.#pending = this.#pending.slice(end + 1)
      this.requests.push(request)
      setImmediate(() => this.#answer(request))
    }
    return Promise.resolve()
  }

  dispose(): void {
    this.#listening = false
    this.#onOpen.dispose()
    this.#onOutput.dispose()
  }

  /** Out of turn, too. */
  say(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? utf8(text) : text
    if (!this.#listening) return
    this.sent += bytes.length
    this.#onOutput.fire(bytes)
  }

  #answer({ execute, arguments: args = {} }: Request): void {
    const sync = execute === 'guest-sync-delimited'
    switch (this.behaviour) {
      case 'silent':
      case 'flood':
      case 'endless':
        return
      case 'strangers':
        this.say('{"return": 1}\n{"return": "none"}\n{"error": {"desc": "no"}}\n')
        return
      default:
    }
    if (sync) {
      this.say(Uint8Array.of(0xff))
      this.say(`{"return": ${String(args['id'])}}\n`)
      return
    }
    switch (this.behaviour) {
      case 'huge':
        this.say('{"return": "')
        this.#pour(1024 * MiB)
        return
      case 'many':
        this.say(`{"return": [${'{},'.repeat(300_000)}{}]}\n`)
        return
      case 'half':
        this.say('{"return": [{"name": "et')
        return
      case 'garbage':
        this.say('\u0000\u0001 no JSON {{{\n')
        return
      case 'shapeless':
        this.say('{"return": {"pid": "all", "exited": 7, "name": [[[[]]]]}}\n')
        return
      default:
    }
    const own = this.answers.get(execute)
    if (own && 'error' in own) return this.say(`{"error": {"class": "GenericError", "desc": ${JSON.stringify(own.error)}}}\n`)
    if (execute !== 'guest-shutdown') this.say(`{"return": ${JSON.stringify(own ? own.return : (RETURNS[execute] ?? {}))}}\n`)
  }

  /** As fast as it is taken: a line that never ends, or lines. */
  #pour(bytes: number): void {
    if (this.#sending) return
    this.#sending = true
    const { behaviour } = this
    const lines = behaviour === 'flood'
    const chunk = lines ? CHUNK : CHUNK.subarray(0, CHUNK.length - 1)
    let left = bytes
    const go = (): void => {
      this.#sending = this.#listening && left > 0 && this.behaviour === behaviour
      if (!this.#sending) return
      left -= chunk.length
      this.say(chunk)
      setImmediate(go)
    }
    go()
  }
}

const RETURNS: Record<string, unknown> = {
  'guest-network-get-interfaces': [
    { name: 'lo', 'ip-addresses': [{ 'ip-address': '127.0.0.1', 'ip-address-type': 'ipv4' }] },
    {
      name: 'eth0',
      'hardware-address': '52:54:00:00:00:01',
      'ip-addresses': [
        { 'ip-address': 'fd00::5', 'ip-address-type': 'ipv6' },
        { 'ip-address': '192.0.2.5', 'ip-address-type': 'ipv4' },
      ],
    },
  ],
  'guest-exec': { pid: 7 },
  'guest-exec-status': { exited: true, exitcode: 3, 'out-data': 'b3V0', 'err-data': 'ZXJy' },
  'guest-fsfreeze-status': 'thawed',
  'guest-fsfreeze-freeze': 2,
  'guest-fsfreeze-thaw': 2,
}
