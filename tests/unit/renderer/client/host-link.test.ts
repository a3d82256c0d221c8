import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { HostLink, type LinkStatus } from '../../../../src-renderer/client/host-link.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import { call, defineService, event } from '../../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import type { Wire } from '../../../../src-shared/rpc/wire.ts'

const greeter = defineService('greeter', { greet: call(z.strictObject({ name: z.string() })).returns<string>(), said: event<string>() })

let said: Emitter<string>
let server: RpcServer
let wires: Wire[]
let link: HostLink
let seen: LinkStatus[]
let dialled: number
let refuse: AppError | null

beforeEach(() => {
  vi.useFakeTimers()
  said = new Emitter()
  server = new RpcServer()
  server.register(greeter, { greet: ({ name }) => `Hello, ${name}`, said: said.event })
  wires = []
  seen = []
  dialled = 0
  refuse = null
  link = new HostLink(() => {
    dialled++
    if (refuse) return Promise.reject(refuse)
    const [ours, theirs] = memoryWirePair()
    server.attach(ours, { kind: 'test' })
    wires.push(theirs)
    return Promise.resolve(theirs)
  })
  link.onStatus((status) => seen.push(status))
})
afterEach(() => {
  link.dispose()
  vi.useRealTimers()
})

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

describe('the link to the host', () => {
  test('calls once it is open, and fails calls at once while it is not', async () => {
    await expect(link.service(greeter).greet({ name: 'Ada' })).rejects.toMatchObject({ code: 'disconnected' })
    link.connect()
    await settle()
    expect(link.status).toBe('open')
    await expect(link.service(greeter).greet({ name: 'Ada' })).resolves.toBe('Hello, Ada')
  })

  test('keeps event subscriptions over a lost wire, each value once', async () => {
    const heard: string[] = []
    const view = link.service(greeter)
    const early = view.said((text) => heard.push(text))
    link.connect()
    await settle()
    said.fire('one')
    await settle()
    wires[0]!.close()
    await settle()
    expect(link.status).toBe('lost')
    await vi.advanceTimersByTimeAsync(300)
    expect(link.status).toBe('open')
    said.fire('two')
    await settle()
    early.dispose()
    await settle()
    said.fire('three')
    await settle()
    expect(heard).toEqual(['one', 'two'])
    expect(seen).toEqual(['open', 'lost', 'open'])
    expect(said.listenerCount).toBe(0)
  })

  test('tries again with growing pauses, and at once when asked', async () => {
    refuse = new AppError('disconnected', 'Coppice does not answer.')
    link.connect()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(dialled).toBeGreaterThan(4)
    expect(dialled).toBeLessThan(10)
    refuse = null
    link.connect()
    await settle()
    expect(link.status).toBe('open')
  })

  test('gives up when it is refused, until asked to try again', async () => {
    refuse = new AppError('denied', 'No.')
    link.connect()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(link.status).toBe('refused')
    expect(dialled).toBe(1)
    refuse = null
    link.connect()
    await settle()
    expect(link.status).toBe('open')
  })

  test('lets go of everything when it is disposed', async () => {
    link.connect()
    await settle()
    link.dispose()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(dialled).toBe(1)
  })
})
