import { expect, test } from 'vitest'
import { GoingOn } from '../../../src-main/storage/going-on.ts'
import type { ServedDevice } from '../../../src-main/storage/serve-ring.ts'

/** A disk of four bytes that notes what is done with it. */
function disk(name: string, log: string[], size = 4): ServedDevice & { bytes: Uint8Array } {
  const bytes = new Uint8Array(size)
  return {
    bytes,
    info: { size, readOnly: false, format: 'raw' },
    async read(offset, into) {
      await Promise.resolve()
      log.push(`${name} read`)
      into.set(bytes.subarray(offset, offset + into.length))
    },
    async write(offset, written) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      log.push(`${name} write ${written[0]}`)
      bytes.set(written, offset)
    },
    async flush() {
      log.push(`${name} flush`)
    },
    async close() {
      log.push(`${name} close`)
    },
  }
}

test('what was asked for before is flushed in the first image, what comes meanwhile goes to the next', async () => {
  const log: string[] = []
  const [first, second] = [disk('a', log), disk('b', log)]
  const device = new GoingOn(first)
  const before = device.write(0, Uint8Array.of(1))
  const going = device.goOn(
    async () => (log.push('b open'), second),
    () => expect.fail('not asked for'),
  )
  await Promise.resolve()
  await Promise.all([before, device.write(1, Uint8Array.of(2)), going])
  expect(log).toEqual(['a write 1', 'a flush', 'a close', 'b open', 'b write 2'])
  expect([...first.bytes, ...second.bytes]).toEqual([1, 0, 0, 0, 0, 2, 0, 0])
  await device.close()
  expect(log.at(-1)).toBe('b close')
})

test.each([
  ['cannot be opened', () => Promise.reject(new Error('no such file')), 'no such file'],
  ['is of another size', (log: string[]) => Promise.resolve(disk('b', log, 5)), 'has 5 bytes'],
])('where the next image %s it goes on in the first', async (_name, next, why) => {
  const log: string[] = []
  const device = new GoingOn(disk('a', log))
  await expect(
    device.goOn(
      () => next(log),
      async () => disk('a again', log),
    ),
  ).rejects.toThrow(why)
  await device.write(0, Uint8Array.of(7))
  expect(log.at(-1)).toBe('a again write 7')
})

test('while its files are worked on it is closed, and what is asked for waits; closed for good, it is not opened again', async () => {
  const log: string[] = []
  const device = new GoingOn(disk('a', log))
  const working = device.away(
    async () => void log.push('work'),
    async () => (log.push('open'), disk('a', log)),
  )
  await Promise.resolve()
  await Promise.all([working, device.write(0, Uint8Array.of(3))])
  expect(log).toEqual(['a flush', 'a close', 'work', 'open', 'a write 3'])
  await expect(
    device.away(
      () => Promise.reject(new Error('no')),
      async () => (log.push('open'), disk('a', log)),
    ),
  ).rejects.toThrow('no')
  await device.write(0, Uint8Array.of(4))
  expect(log.at(-1)).toBe('a write 4')
  await device.close()
  const never = (): Promise<never> => expect.fail('not asked for')
  await expect(device.away(never, never)).rejects.toMatchObject({ code: 'disconnected' })
})
