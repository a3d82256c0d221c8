/** The leak check itself: it must find leaks, or its silence means nothing. */
import { Worker } from 'node:worker_threads'
import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import { toDisposable } from '../../../src-shared/base/disposable.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { startLeakCheck } from '../../support/leak-check.ts'

describe('leak check', () => {
  test('is silent when all was disposed, also late', async () => {
    const check = startLeakCheck()
    toDisposable(() => {}).dispose()
    const timer = setTimeout(() => {}, 50_000)
    const late = new Emitter<void>()
    late.event(() => {})
    setTimeout(() => {
      clearTimeout(timer)
      late.dispose()
    }, 50)
    await check.verify()
  })

  test('finds a disposable that nobody disposed, and where it was made', async () => {
    const check = startLeakCheck()
    const leak = toDisposable(() => {})
    await expect(check.verify()).rejects.toThrow('leak-check.test.ts')
    leak.dispose()
  })

  test('finds timers, sockets and threads', async () => {
    for (const [open, kind] of [
      [
        () => {
          const timer = setInterval(() => {}, 1000)
          return () => clearInterval(timer)
        },
        'a timer',
      ],
      [
        () => {
          const server = createServer().listen(0, '127.0.0.1')
          return () => void server.close()
        },
        'TCPServerWrap',
      ],
      [
        () => {
          const worker = new Worker('setInterval(() => {}, 1000)', { eval: true })
          return () => void worker.terminate()
        },
        'thread ',
      ],
    ] as const) {
      const check = startLeakCheck()
      const close = open()
      await expect(check.verify()).rejects.toThrow(kind)
      close()
    }
  }, 20_000)
})
