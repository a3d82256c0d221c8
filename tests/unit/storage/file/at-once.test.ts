import { describe, expect, test } from 'vitest'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { AtOnce, MOST_AT_ONCE, Turn } from '../../../../src-main/storage/file/at-once.ts'
import { isNear } from '../../../../src-main/storage/file/near.ts'
import { byteFile } from '../../../../src-main/storage/file/open-byte-file.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

/** Requests that take as many ms as they are told to. */
function setUp() {
  let now = 0
  const turn = new Turn()
  const requests = new AtOnce(turn, () => now)
  requests.begin()
  return { turn, requests, take: (ms: number) => requests.run(() => (now += ms)) }
}
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('small requests are done at once', () => {
  test('but none before it is known that the file lies on this computer', () => {
    expect(new AtOnce().allows(512)).toBe(false)
  })

  test('but not large ones', () => {
    const { requests } = setUp()
    expect([requests.allows(512), requests.allows(MOST_AT_ONCE), requests.allows(MOST_AT_ONCE + 1)]).toEqual([true, true, false])
  })

  test('until a turn of the event loop has spent its time', async () => {
    const { requests, take } = setUp()
    let done = 0
    for (; requests.allows(512); done++) take(0.1)
    expect(done).toBeLessThan(20)
    expect(requests.allows(512)).toBe(false)
    await nextTurn()
    expect(requests.allows(512)).toBe(true)
  })

  test('unless one took long: then ever more are handed over, until one is quick again', async () => {
    const { requests, take } = setUp()
    const handedOver = async (): Promise<number> => {
      await nextTurn()
      let count = 0
      while (!requests.allows(512)) count++
      return count
    }
    expect(requests.allows(512)).toBe(true)
    take(5)
    const first = await handedOver()
    expect(first).toBeGreaterThan(8)
    take(5)
    const second = await handedOver()
    expect(second).toBe(2 * first)
    take(0.01)
    expect(await handedOver()).toBe(0)
    take(5)
    expect(await handedOver()).toBe(first)
  })

  test('one that fails counts, too, and its error is told', () => {
    const { requests } = setUp()
    expect(() =>
      requests.run(() => {
        throw new Error('no')
      }),
    ).toThrow('no')
  })
})

test('many small requests on files let everything else have its turn', async () => {
  const path = join(await tempFolder(), 'file')
  const file = byteFile(await open(path, 'w+'), path, 0, false)
  await file.write(0, new Uint8Array(1024 * 1024).fill(7))
  let turns = 0
  let ended = false
  const count = (): void => {
    turns++
    if (!ended) setImmediate(count)
  }
  setImmediate(count)
  let left = 20_000
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      const bytes = new Uint8Array(4096)
      while (left-- > 0) {
        if (left % 2) await file.write((left % 200) * 4096, bytes.fill(7))
        else await file.read((left % 200) * 4096, bytes)
        expect(bytes[4095]).toBe(7)
      }
    }),
  )
  ended = true
  expect(turns).toBeGreaterThan(10)
  await file.close()
})

test('files of other computers are told from those of this one', async () => {
  expect(await isNear(await tempFolder(), 'linux')).toBe(true)
  expect(await isNear('/proc/nothing/there', 'linux')).toBe(false)
  for (const [path, platform, near] of [
    ['C:\\disks\\a.img', 'win32', true],
    ['\\\\server\\share\\a.img', 'win32', false],
    ['/Users/a/a.img', 'darwin', true],
    ['/Volumes/share/a.img', 'darwin', false],
  ] as const)
    expect(await isNear(path, platform)).toBe(near)
})
