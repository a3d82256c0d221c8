import { describe, expect, test } from 'vitest'
import { ConsoleSession, type ConsoleSink } from '../../../../src-renderer/terminal/console-session.ts'
import { machines } from '../../../../src-shared/api/machines.ts'
import { ByteLog } from '../../../../src-shared/base/byte-log.ts'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { type ByteStream, WINDOW } from '../../../../src-shared/rpc/byte-stream.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import type { Handlers } from '../../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'

/** A serial port as the host keeps it: a log, and whoever listens. */
class FakePort {
  life = 'life-1'
  live = true
  log = new ByteLog(1 << 20)
  typed = ''
  opened: (number | null)[] = []
  readers = new Set<ByteStream>()
  failure: AppError | null = null

  async open(from: number | null, stream: ByteStream): Promise<{ start: number; end: number; live: boolean; life: string }> {
    this.opened.push(from)
    if (this.failure) throw this.failure
    const kept = this.log.read(from ?? 0)
    const opening = { start: kept.offset, end: this.log.end, live: this.live, life: this.life }
    void this.#serve(stream, kept.bytes)
    return opening
  }

  async #serve(stream: ByteStream, kept: Uint8Array): Promise<void> {
    if (this.live) {
      this.readers.add(stream)
      stream.onClose(() => this.readers.delete(stream))
      void (async () => {
        const decoder = new TextDecoder()
        for await (const bytes of stream) this.typed += decoder.decode(bytes, { stream: true })
      })().catch(() => {})
    }
    await stream.write(kept).catch(() => {})
    if (!this.live) stream.end()
  }

  print(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? utf8(text) : text
    this.log.append(bytes)
    for (const reader of this.readers) void reader.write(bytes).catch(() => {})
  }

  stop(): void {
    this.live = false
    for (const reader of [...this.readers]) reader.end()
    this.readers.clear()
  }

  start(life: string): void {
    this.live = true
    this.life = life
    this.log = new ByteLog(1 << 20)
  }
}

/** A terminal that keeps what it was given; `hold` makes it as slow as the test likes. */
class FakeSink implements ConsoleSink {
  bytes: number[] = []
  lines: string[] = []
  replayed = 0
  settled = 0
  cleared = 0
  unparsed = 0
  hold: Promise<void> | null = null

  get text(): string {
    return new TextDecoder().decode(Uint8Array.from(this.bytes))
  }
  async write(bytes: Uint8Array, { replay }: { replay: boolean }): Promise<void> {
    this.bytes.push(...bytes)
    if (replay) this.replayed += bytes.length
    this.unparsed += bytes.length
    await this.hold
    this.unparsed -= bytes.length
  }
  note(text: string): void {
    this.lines.push(text)
  }
  settle(): void {
    this.settled++
  }
  clear(): void {
    this.cleared++
    this.bytes = []
  }
}

class Bench {
  port = new FakePort()
  sink = new FakeSink()
  client!: RpcClient
  session: ConsoleSession
  #server = new RpcServer()

  constructor() {
    const handlers: Partial<Handlers<typeof machines>> = { console: (input, stream) => this.port.open(input.from, stream) }
    this.#server.register(machines, handlers as Handlers<typeof machines>)
    this.connect()
    this.session = new ConsoleSession(
      (from, signal) => this.client.service(machines).console({ id: 'm', port: 0, from }, { signal }),
      this.sink,
    )
  }

  connect(): void {
    const [here, there] = memoryWirePair()
    this.#server.attach(there, { kind: 'test' })
    this.client = new RpcClient(here)
  }

  async until(kind: ConsoleSession['status']['kind']): Promise<void> {
    await expect.poll(() => this.session.status.kind).toBe(kind)
  }
}

const RUNNING = { state: 'running', startedAt: '2026-01-01T00:00:00Z' } as const
const OFF = { state: 'off', startedAt: null } as const
const RUNNING_AGAIN = { state: 'running', startedAt: '2026-01-01T01:00:00Z' } as const

describe('ConsoleSession', () => {
  test('a console that is opened late gets everything from the first byte, marked as replay, then what is new', async () => {
    const bench = new Bench()
    bench.port.print('boot\r\n')
    bench.session.attach()
    await bench.until('live')
    await expect.poll(() => bench.sink.text).toBe('boot\r\n')
    bench.port.print('login: ')
    await expect.poll(() => bench.sink.text).toBe('boot\r\nlogin: ')
    expect(bench.sink.replayed).toBe('boot\r\n'.length)
    expect(bench.sink.lines).toEqual([])
  })

  test('closing and reopening goes on from the remembered offset: each byte once', async () => {
    const bench = new Bench()
    bench.session.attach()
    bench.port.print('one ')
    await expect.poll(() => bench.sink.text).toBe('one ')
    bench.session.detach()
    expect(bench.session.status).toEqual({ kind: 'idle' })
    await expect.poll(() => bench.port.readers.size).toBe(0)
    bench.port.print('two ')
    bench.session.attach()
    await expect.poll(() => bench.sink.text).toBe('one two ')
    bench.port.print('three')
    await expect.poll(() => bench.sink.text).toBe('one two three')
    expect(bench.port.opened).toEqual([null, 4])
  })

  test('quick closing and reopening loses and doubles nothing', async () => {
    const bench = new Bench()
    let all = ''
    for (let round = 0; round < 20; round++) {
      bench.session.attach()
      for (let at = 0; at < 5; at++) {
        const text = `<${round}.${at}>`
        all += text
        bench.port.print(text)
        if (round % 3 !== 0) await new Promise((resolve) => setTimeout(resolve))
      }
      bench.session.detach()
    }
    bench.session.attach()
    await expect.poll(() => bench.sink.text).toBe(all)
  })

  test('the wire breaks: lost, and after reconnecting on from the same offset', async () => {
    const bench = new Bench()
    bench.session.attach()
    bench.port.print('before ')
    await expect.poll(() => bench.sink.text).toBe('before ')
    bench.client.dispose()
    await bench.until('lost')
    bench.port.print('meanwhile ')
    bench.connect()
    bench.session.reconnect()
    await expect.poll(() => bench.sink.text).toBe('before meanwhile ')
    await bench.until('live')
  })

  test('what the host no longer has is said', async () => {
    const bench = new Bench()
    bench.port.log = new ByteLog(1024)
    bench.port.print('x'.repeat(4096))
    bench.session.attach()
    await expect.poll(() => bench.sink.bytes.length).toBe(1024)
    expect(bench.sink.lines).toEqual(['3 KiB of earlier output are no longer kept.'])
  })

  test('the machine stops and starts again: a note, then the new life from its beginning', async () => {
    const bench = new Bench()
    bench.session.machineChanged(RUNNING)
    bench.session.attach()
    bench.port.print('first life')
    await expect.poll(() => bench.sink.text).toBe('first life')
    bench.port.stop()
    await bench.until('ended')
    bench.session.machineChanged(OFF)
    expect(bench.session.status.kind).toBe('ended')
    bench.port.start('life-2')
    bench.port.print('second life')
    bench.session.machineChanged(RUNNING_AGAIN)
    await expect.poll(() => bench.sink.text).toBe('first lifesecond life')
    expect(bench.sink.lines).toEqual(['The machine was started.'])
    expect(bench.sink.settled).toBe(1)
  })

  test('a resumed machine goes on without a note', async () => {
    const bench = new Bench()
    bench.session.machineChanged(RUNNING)
    bench.session.attach()
    bench.port.print('$ ')
    await expect.poll(() => bench.sink.text).toBe('$ ')
    bench.port.stop()
    await bench.until('ended')
    bench.session.machineChanged({ state: 'suspended', startedAt: null })
    bench.port.start('life-2')
    bench.session.machineChanged(RUNNING_AGAIN)
    await bench.until('live')
    bench.port.print('uptime')
    await expect.poll(() => bench.sink.text).toBe('$ uptime')
    expect(bench.sink.lines).toEqual([])
    expect(bench.sink.settled).toBe(0)
  })

  test('a machine that is off shows what was kept, and ends', async () => {
    const bench = new Bench()
    bench.port.print('the last words')
    bench.port.stop()
    bench.session.machineChanged(OFF)
    bench.session.attach()
    await bench.until('ended')
    expect(bench.sink.text).toBe('the last words')
  })

  test('stopped and restarted while nobody looked: what is kept replaces what was shown', async () => {
    const bench = new Bench()
    bench.session.attach()
    bench.port.print('old')
    await expect.poll(() => bench.sink.text).toBe('old')
    bench.session.detach()
    bench.port.start('life-2')
    bench.port.print('new')
    bench.port.stop()
    bench.session.attach()
    await bench.until('ended')
    expect(bench.sink.cleared).toBe(1)
    expect(bench.sink.text).toBe('new')
  })

  test('the same state told twice opens nothing again', async () => {
    const bench = new Bench()
    bench.session.machineChanged(RUNNING)
    bench.session.attach()
    await bench.until('live')
    bench.port.stop()
    await bench.until('ended')
    bench.session.machineChanged(RUNNING)
    bench.session.machineChanged(RUNNING)
    expect(bench.port.opened).toEqual([null])
  })

  test('a machine on its way down or up is not asked again', async () => {
    const bench = new Bench()
    bench.session.machineChanged(RUNNING)
    bench.session.attach()
    bench.port.print('Power down')
    await expect.poll(() => bench.sink.text).toBe('Power down')
    bench.session.machineChanged({ state: 'stopping', startedAt: RUNNING.startedAt })
    bench.port.stop()
    await bench.until('ended')
    bench.session.machineChanged({ state: 'stopping', startedAt: RUNNING.startedAt })
    bench.session.machineChanged(OFF)
    bench.session.machineChanged({ state: 'starting', startedAt: null })
    expect(bench.port.opened).toEqual([null])
    expect(bench.sink.cleared).toBe(0)
  })

  test('what failed while the machine changed is tried again when it has', async () => {
    const bench = new Bench()
    bench.session.machineChanged({ state: 'stopping', startedAt: RUNNING.startedAt })
    bench.port.print('kept')
    bench.port.failure = new AppError('crashed', 'The engine’s thread has ended.')
    bench.session.attach()
    await bench.until('failed')
    bench.port.failure = null
    bench.port.stop()
    bench.session.machineChanged(OFF)
    await bench.until('ended')
    expect(bench.sink.text).toBe('kept')
  })

  test('typing reaches the guest, also what was typed while the port opened', async () => {
    const bench = new Bench()
    bench.session.attach()
    bench.session.type(utf8('early '))
    await bench.until('live')
    bench.session.type(utf8('ünder\r'))
    await expect.poll(() => bench.port.typed).toBe('early ünder\r')
    bench.port.stop()
    await bench.until('ended')
    bench.session.type(utf8('nobody hears'))
    expect(bench.port.typed).toBe('early ünder\r')
  })

  test('a slow terminal holds the host back: never more than the window waits', async () => {
    const bench = new Bench()
    const gate = Promise.withResolvers<void>()
    bench.sink.hold = gate.promise
    bench.session.attach()
    await bench.until('live')
    let written = 0
    const flood = (async () => {
      const [reader] = [...bench.port.readers]
      for (let at = 0; at < 32; at++) {
        await reader!.write(new Uint8Array(64 * 1024).fill(120))
        written += 64 * 1024
      }
    })()
    await expect.poll(() => bench.sink.unparsed).toBe(64 * 1024)
    await expect.poll(() => written).toBeGreaterThanOrEqual(WINDOW)
    // One chunk in the terminal, a window's worth granted and not yet acknowledged; the rest waits at the host.
    expect(written).toBeLessThanOrEqual(WINDOW + 64 * 1024)
    expect(bench.sink.unparsed).toBe(64 * 1024)
    bench.sink.hold = null
    gate.resolve()
    await flood
    await expect.poll(() => bench.sink.bytes.length).toBe(32 * 64 * 1024)
  })

  test('a failure is shown and can be tried again', async () => {
    const bench = new Bench()
    bench.port.failure = new AppError('not-found', 'There is no such machine.')
    bench.session.attach()
    await bench.until('failed')
    expect(bench.session.status).toMatchObject({ error: { message: 'There is no such machine.' } })
    bench.port.failure = null
    bench.session.reconnect()
    await bench.until('live')
  })

  test('a reset is noted only where something was shown', async () => {
    const bench = new Bench()
    bench.session.rebooted()
    expect(bench.sink.lines).toEqual([])
    bench.session.attach()
    await bench.until('live')
    bench.session.rebooted()
    expect(bench.sink.lines).toEqual(['The machine was reset.'])
    expect(bench.sink.settled).toBe(1)
  })
})
