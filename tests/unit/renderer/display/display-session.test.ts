import { afterEach, beforeEach, expect, test } from 'vitest'
import { DisplaySession, type Painter } from '../../../../src-renderer/display/display-session.ts'
import type { RfbChannel } from '../../../../src-renderer/display/rfb-channel.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineState } from '../../../../src-shared/model/machine-state.ts'
import { WINDOW, type ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { streamPair } from '../../../support/stream-pair.ts'

/** What paints: here it only counts. */
class FakePainter implements Painter {
  bytes = 0
  disposed = false
  connected = new Emitter<void>()
  faults = new Emitter<AppError>()
  readonly onConnect = this.connected.event
  readonly onFault = this.faults.event
  readonly channel: RfbChannel

  constructor(channel: RfbChannel) {
    this.channel = channel
    channel.onmessage = ({ data }) => {
      this.bytes += data.length
      this.connected.fire()
    }
  }
  dispose(): void {
    this.disposed = true
    this.channel.close()
  }
}

let opened: ByteStream[]
let painters: FakePainter[]
let failure: AppError | null
let session: DisplaySession<FakePainter>
const status = (): string => session.status.kind
const machine = (state: MachineState, startedAt = '1'): { state: MachineState; startedAt: string } => ({ state, startedAt })

beforeEach(() => {
  opened = []
  painters = []
  failure = null
  session = new DisplaySession(
    async () => {
      if (failure) throw failure
      const [here, there] = streamPair()
      opened.push(there)
      return { stream: here }
    },
    (channel) => {
      const painter = new FakePainter(channel)
      painters.push(painter)
      return painter
    },
  )
})
afterEach(() => session.dispose())

async function live(): Promise<void> {
  session.machineChanged(machine('running'))
  session.attach()
  await expect.poll(() => opened.length).toBe(1)
  await opened[0]!.write(Uint8Array.of(1))
  await expect.poll(status).toBe('live')
}

test('nothing is opened for a machine that is off; it is when that runs', async () => {
  session.machineChanged(machine('off'))
  session.attach()
  expect(status()).toBe('ended')
  session.machineChanged(machine('starting'))
  expect(opened).toEqual([])
  session.machineChanged(machine('running'))
  await expect.poll(() => opened.length).toBe(1)
  await opened[0]!.write(Uint8Array.of(1))
  await expect.poll(status).toBe('live')
})

test('pausing, suspending and shutting down keep the stream; its end ends the picture', async () => {
  await live()
  for (const state of ['paused', 'running', 'suspending', 'stopping'] as const) session.machineChanged(machine(state))
  expect(opened).toHaveLength(1)
  opened[0]!.end()
  await expect.poll(status).toBe('ended')
  expect(painters[0]!.disposed).toBe(true)
  // It is not asked for again until the machine has another life.
  session.machineChanged(machine('stopping'))
  session.machineChanged(machine('off'))
  expect(opened).toHaveLength(1)
  session.machineChanged(machine('running', '2'))
  await expect.poll(() => opened.length).toBe(2)
})

test('started again while the last bytes were on their way, it follows', async () => {
  await live()
  session.machineChanged(machine('running', '2'))
  opened[0]!.end()
  await expect.poll(() => opened.length).toBe(2)
})

test('a lost wire is waited for, and reconnect goes on', async () => {
  await live()
  opened[0]!.close(new AppError('disconnected', 'The connection was closed.'))
  await expect.poll(status).toBe('lost')
  session.reconnect()
  await expect.poll(() => opened.length).toBe(2)
})

test('a refusal is told, and tried again when asked', async () => {
  failure = new AppError('unsupported', 'This machine has no screen.')
  session.machineChanged(machine('running'))
  session.attach()
  await expect.poll(() => session.status).toMatchObject({ kind: 'failed', error: { message: 'This machine has no screen.' } })
  failure = null
  session.reconnect()
  await expect.poll(() => opened.length).toBe(1)
})

test('what the painter cannot take ends it with its words', async () => {
  await live()
  painters[0]!.faults.fire(new AppError('corrupt', 'No picture.'))
  await expect.poll(() => session.status).toMatchObject({ kind: 'failed', error: { code: 'corrupt' } })
  expect(opened[0]!.closed).toBe(true)
})

test('held, it takes no bytes, so that the sender waits; released, it misses none', async () => {
  await live()
  session.hold(true)
  const total = 4 * WINDOW
  let sent = 0
  const sending = (async () => {
    for (; sent < total; sent += 1024) await opened[0]!.write(new Uint8Array(1024))
  })()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(painters[0]!.bytes).toBe(1)
  expect(sent).toBeLessThanOrEqual(2 * WINDOW)
  session.hold(false)
  await sending
  await expect.poll(() => painters[0]!.bytes).toBe(1 + total)
})

test('held when it is opened, it shows nothing until it is released', async () => {
  session.hold(true)
  session.machineChanged(machine('running'))
  session.attach()
  await expect.poll(() => opened.length).toBe(1)
  await opened[0]!.write(Uint8Array.of(1))
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(status()).toBe('opening')
  session.hold(false)
  await expect.poll(status).toBe('live')
})

test('disposed, it closes its stream, also one that was only being opened', async () => {
  await live()
  session.dispose()
  await expect.poll(() => opened[0]!.closed).toBe(true)
  expect(painters[0]!.disposed).toBe(true)
})
