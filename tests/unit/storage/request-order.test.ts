import { describe, expect, test } from 'vitest'
import { RequestOrder } from '../../../src-main/storage/request-order.ts'

/** Requests whose work ends when told, and the order in which works begin. */
function setUp() {
  const order = new RequestOrder()
  const begun: string[] = []
  const gates = new Map<string, PromiseWithResolvers<void>>()
  const work = (name: string) => () => {
    begun.push(name)
    const gate = Promise.withResolvers<void>()
    gates.set(name, gate)
    return gate.promise
  }
  return {
    order,
    begun,
    work,
    end: (name: string) => gates.get(name)!.resolve(),
    fail: (name: string) => gates.get(name)!.reject(new Error(name)),
  }
}
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('request order', () => {
  test('requests on different bytes, and reads of the same ones, run at once', () => {
    const { order, begun, work } = setUp()
    void order.run(true, 0, 512, work('w0'))
    void order.run(true, 512, 512, work('w1'))
    void order.run(false, 1024, 512, work('r1'))
    void order.run(false, 1024, 512, work('r2'))
    expect(begun).toEqual(['w0', 'w1', 'r1', 'r2'])
  })

  test('a request waits for every earlier one that touches the same bytes and writes', async () => {
    const { order, begun, work, end } = setUp()
    void order.run(true, 0, 1024, work('w1'))
    void order.run(true, 1023, 10, work('w2'))
    void order.run(false, 1030, 1, work('r'))
    void order.run(true, 1030, 1, work('w3'))
    expect(begun).toEqual(['w1'])
    for (const name of ['w1', 'w2', 'r', 'w3']) {
      await soon()
      expect(begun.at(-1)).toBe(name)
      end(name)
    }
    await order.idle()
  })

  test('one that fails lets the next go on', async () => {
    const { order, begun, work, end, fail } = setUp()
    const first = order.run(true, 0, 1, work('w1'))
    const second = order.run(true, 0, 1, work('w2'))
    fail('w1')
    await expect(first).rejects.toThrow('w1')
    await soon()
    expect(begun).toEqual(['w1', 'w2'])
    end('w2')
    await second
  })

  test('a flush waits for the writes before it and not for those after', async () => {
    const { order, begun, work, end } = setUp()
    void order.run(true, 0, 1, work('w1'))
    void order.run(false, 10, 1, work('r'))
    const flush = order.afterWrites(work('flush'))
    void order.run(true, 20, 1, work('w2'))
    await soon()
    expect(begun).toEqual(['w1', 'r', 'w2'])
    end('w1')
    await soon()
    expect(begun).toContain('flush')
    end('flush')
    await flush
  })
})
