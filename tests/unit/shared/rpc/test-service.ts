/** A service with a member of every kind, and a client and a server of it on any wire. */
import { z } from 'zod'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import { call, defineService, event, stream, type CallContext, type Client, type Peer } from '../../../../src-shared/rpc/service.ts'
import type { Wire } from '../../../../src-shared/rpc/wire.ts'

export const testService = defineService('test', {
  add: call(z.strictObject({ a: z.number(), b: z.number() })).returns<number>(),
  nothing: call(z.strictObject({})).returns<void>(),
  nested: call(
    z.strictObject({
      drives: z.array(z.strictObject({ path: z.string().min(1, 'Choose a file.') })),
      size: z.number().default(7),
    }),
  ).returns<{ size: number }>(),
  fail: call(z.strictObject({ how: z.enum(['app', 'bug', 'text', 'uncloneable']) })).returns<unknown>(),
  hang: call(z.strictObject({})).returns<void>(),
  peer: call(z.strictObject({})).returns<Peer>(),
  ticks: event<{ n: number }>(),
  echo: stream(z.strictObject({ greeting: z.string() })).returns<{ length: number }>(),
  keep: stream(z.strictObject({})).returns<void>(),
  refuse: stream(z.strictObject({})).returns<void>(),
  hangOpen: stream(z.strictObject({})).returns<void>(),
})

export interface TestPeers extends Disposable {
  client: RpcClient
  server: RpcServer
  api: Client<typeof testService>
  ticks: Emitter<{ n: number }>
  /** The serving end of the last `keep` or `hangOpen`. */
  kept: () => ByteStream
  /** Contexts of calls to `hang` and `hangOpen`. */
  hanging: CallContext[]
  faults: string[]
  serving: Disposable
}

export function testPeers(near: Wire, far: Wire): TestPeers {
  const ticks = new Emitter<{ n: number }>()
  const hanging: CallContext[] = []
  const faults: string[] = []
  let kept: ByteStream | undefined
  const untilAborted = (context: CallContext): Promise<void> => {
    hanging.push(context)
    return new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => reject(context.signal.reason as Error))
    })
  }
  const server = new RpcServer((error, where) => faults.push(`${where}: ${error.message}`))
  server.register(testService, {
    add: ({ a, b }) => a + b,
    nothing: () => {},
    nested: ({ size }) => ({ size }),
    fail: ({ how }) => {
      if (how === 'app') throw new AppError('no-space', 'The disk is full.', { subject: '/x', fields: [{ path: 'a.0', message: 'Bad.' }] })
      if (how === 'bug') return Promise.reject(new TypeError('undefined is not a function'))
      if (how === 'text') throw 'just text' as unknown
      // Neither a port nor JSON takes it.
      return { fn: () => {}, big: 1n }
    },
    hang: (_input, context) => untilAborted(context),
    peer: (_input, { peer }) => peer,
    ticks: ticks.event,
    echo: ({ greeting }, bytes) => {
      void (async () => {
        await bytes.write(new TextEncoder().encode(greeting))
        for await (const chunk of bytes) await bytes.write(chunk)
        bytes.end()
      })().catch(() => {})
      return { length: greeting.length }
    },
    keep: (_input, bytes) => void (kept = bytes),
    refuse: () => {
      throw new AppError('denied', 'Not here.')
    },
    hangOpen: (_input, bytes, context) => {
      kept = bytes
      return untilAborted(context)
    },
  })
  const serving = server.attach(far, { kind: 'test' })
  const client = new RpcClient(near)
  return {
    client,
    server,
    api: client.service(testService),
    ticks,
    kept: () => kept!,
    hanging,
    faults,
    serving,
    dispose: () => {
      client.dispose()
      serving.dispose()
    },
  }
}

/** Lets everything that is under way arrive. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 2))
}
