import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { ByteLog } from '../../../../src-shared/base/byte-log.ts'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'
import { DisposableStore, setLeakTracker, toDisposable, type Disposable } from '../../../../src-shared/base/disposable.ts'
import { Emitter, nextValue, setListenerErrorHandler } from '../../../../src-shared/base/event.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { formatBytes, formatCount, formatDuration, GiB, KiB, MiB, parseBytes } from '../../../../src-shared/base/units.ts'

describe('ByteLog', () => {
  test('keeps the last bytes, addressed by absolute offset, like a plain array', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 30 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        pieces,
        fc.integer({ min: -5, max: 2000 }),
        fc.nat({ max: 80 }),
        (capacity, appended, offset, limit) => {
          const log = new ByteLog(capacity)
          const all: number[] = []
          for (const piece of appended) {
            log.append(piece)
            all.push(...piece)
            const start = Math.max(0, all.length - capacity)
            expect([log.start, log.end]).toEqual([start, all.length])
            const from = Math.min(Math.max(offset, start), all.length)
            const read = log.read(offset, limit)
            expect({ offset: read.offset, bytes: [...read.bytes] }).toEqual({ offset: from, bytes: all.slice(from, from + limit) })
            expect([...log.read(0).bytes]).toEqual(all.slice(start))
          }
        },
      ),
    )
  })

  test('gives copies and takes copies', () => {
    const log = new ByteLog(4)
    const source = Uint8Array.of(1, 2)
    log.append(source)
    source[0] = 9
    const { bytes } = log.read(0)
    bytes[1] = 9
    expect([...log.read(0).bytes]).toEqual([1, 2])
  })
})

describe('bytes and ids', () => {
  test('concatBytes joins, utf8 encodes', () => {
    expect([...concatBytes([Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3)])]).toEqual([1, 2, 3])
    expect(concatBytes([])).toHaveLength(0)
    expect([...utf8('ü')]).toEqual([0xc3, 0xbc])
  })

  test('ids are version 4 UUIDs and differ', () => {
    const ids = new Set(Array.from({ length: 100 }, newId))
    expect(ids.size).toBe(100)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('units', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [KiB, '1 KiB'],
    [1536, '1.5 KiB'],
    [1023.99 * KiB, '1.0 MiB'],
    [100.4 * MiB, '100 MiB'],
    [1.5 * GiB, '1.5 GiB'],
    [-2 * MiB, '-2 MiB'],
    [2 ** 60, '1024 PiB'],
    [Infinity, '—'],
    [NaN, '—'],
  ])('formatBytes(%d) is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  test.each([
    ['256M', 256 * MiB],
    ['1.5 GiB', 1.5 * GiB],
    ['512k', 512 * KiB],
    ['4096', 4096],
    [' 2gb ', 2 * GiB],
    ['0', 0],
    ['', null],
    ['-1', null],
    ['1.', null],
    ['M', null],
    ['1e3', null],
    ['12 X', null],
    ['99999999P', null],
  ])('parseBytes(%j) is %j', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  test('what was formatted without rounding reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99 }), fc.constantFrom(1, KiB, MiB, GiB), (count, unit) => {
        expect(parseBytes(formatBytes(count * unit))).toBe(count * unit)
      }),
    )
  })

  test.each([
    [-5, '0 s'],
    [59_999, '59 s'],
    [69_000, '1 min 09 s'],
    [7_500_000, '2 h 05 min'],
    [273_600_000, '3 d 4 h'],
  ])('formatDuration(%d) is %s', (ms, text) => expect(formatDuration(ms)).toBe(text))

  test.each([
    [0, '0 ips'],
    [999, '999 ips'],
    [1000, '1.0 kips'],
    [12_300_000, '12.3 Mips'],
    [123_456_789, '123 Mips'],
    [5e15, '5000 Tips'],
  ])('formatCount(%d) is %s', (value, text) => expect(formatCount(value, 'ips')).toBe(text))
})

describe('disposables', () => {
  afterEach(() => setLeakTracker(null))

  test('a function runs once', () => {
    let runs = 0
    const disposable = toDisposable(() => runs++)
    disposable.dispose()
    disposable.dispose()
    expect(runs).toBe(1)
  })

  test('a store disposes in reverse order, once, and what comes late at once', () => {
    const order: number[] = []
    const store = new DisposableStore()
    store.defer(() => order.push(1))
    store.add(toDisposable(() => order.push(2)))
    expect(store.disposed).toBe(false)
    store.dispose()
    store.dispose()
    expect(order).toEqual([2, 1])
    store.defer(() => order.push(3))
    expect(order).toEqual([2, 1, 3])
    expect(store.disposed).toBe(true)
  })

  test('the tracker sees every birth and death', () => {
    const open = new Set<Disposable>()
    setLeakTracker({ opened: (one) => open.add(one), closed: (one) => open.delete(one) })
    const store = new DisposableStore()
    store.defer(() => {})
    const emitter = store.add(new Emitter<number>())
    emitter.event(() => {})
    expect(open.size).toBe(3)
    store.dispose()
    expect(open.size).toBe(0)
    emitter.event(() => {})
    expect(open.size).toBe(0)
  })
})

describe('events', () => {
  test('listeners hear every value in order of their subscription; one may listen twice', () => {
    const emitter = new Emitter<number>()
    const seen: string[] = []
    const listener = (value: number): void => void seen.push(`a${value}`)
    const first = emitter.event(listener)
    emitter.event((value) => seen.push(`b${value}`))
    emitter.event(listener)
    emitter.fire(1)
    first.dispose()
    first.dispose()
    emitter.fire(2)
    expect(seen).toEqual(['a1', 'b1', 'a1', 'b2', 'a2'])
    expect(emitter.listenerCount).toBe(2)
    emitter.dispose()
    emitter.fire(3)
    expect(seen).toHaveLength(5)
  })

  test('who is disposed, or comes, while a value is told does not hear it', () => {
    const emitter = new Emitter<number>()
    const seen: string[] = []
    emitter.event(() => {
      second.dispose()
      emitter.event((value) => seen.push(`late${value}`))
    })
    const second = emitter.event((value) => seen.push(`second${value}`))
    emitter.fire(1)
    expect(seen).toEqual([])
  })

  test('a listener that throws does not stop the others, and its error is not lost', () => {
    const errors: unknown[] = []
    setListenerErrorHandler((error) => errors.push(error))
    const emitter = new Emitter<number>()
    const seen: number[] = []
    emitter.event(() => {
      throw new Error('mine')
    })
    emitter.event((value) => seen.push(value))
    emitter.fire(1)
    expect(seen).toEqual([1])
    expect(errors).toEqual([new Error('mine')])
  })

  test('nextValue waits for the first that passes, and leaves no listener behind', async () => {
    const emitter = new Emitter<number>()
    const next = nextValue(emitter.event, (value) => value > 2)
    for (const value of [1, 2, 3, 4]) emitter.fire(value)
    expect(await next).toBe(3)
    expect(emitter.listenerCount).toBe(0)
    const caller = new AbortController()
    const given = nextValue(emitter.event, () => true, caller.signal)
    caller.abort(new Error('enough'))
    await expect(given).rejects.toThrow('enough')
    await expect(nextValue(emitter.event, () => true, caller.signal)).rejects.toThrow('enough')
    expect(emitter.listenerCount).toBe(0)
  })
})
