import type { FileHandle } from 'node:fs/promises'
import type koffi from 'koffi'
import { expect, onTestFinished, test, vi } from 'vitest'
import { NO_HOLES } from '../../../../../src-main/storage/file/holes/holes.ts'
import { holesOf } from '../../../../../src-main/storage/file/holes/open-holes.ts'

const FILE = { file: { fd: 9 } as FileHandle, path: '/nowhere/a.img', readOnly: false }

function quietLog() {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => log.mockRestore())
  return log
}

test('without the native library there are none, and the log says why', async () => {
  const log = quietLog()
  const open = await holesOf('linux', () => Promise.reject(new Error('no prebuilt binary')))
  expect(await open(FILE)).toBe(NO_HOLES)
  expect(log.mock.calls).toEqual([[expect.stringContaining('no prebuilt binary')]])
})

test.each(['linux', 'darwin', 'win32'] as const)('nor on %s when the system lacks the calls', async (platform) => {
  const log = quietLog()
  const library = {
    load: () => ({
      func: () => {
        throw new Error('Cannot find function')
      },
    }),
  } as unknown as typeof koffi
  const open = await holesOf(platform, () => Promise.resolve(library))
  expect(await open(FILE)).toBe(NO_HOLES)
  expect(log).toHaveBeenCalledTimes(1)
})

test('nor on other systems', async () => {
  const open = await holesOf('freebsd', () => Promise.resolve({} as typeof koffi))
  expect(await open(FILE)).toBe(NO_HOLES)
})

test('an older C library without names for offsets of 64 bits', async () => {
  const declared: string[] = []
  const library = {
    errno: () => 0,
    load: () => ({
      func(text: string) {
        if (text.includes('64(')) throw new Error('Cannot find function')
        declared.push(text)
        return { async: (...args: unknown[]) => (args.at(-1) as (error: null, value: number) => void)(null, 0) }
      },
    }),
  } as unknown as typeof koffi
  const open = await holesOf('linux', () => Promise.resolve(library))
  expect(declared).toEqual([expect.stringMatching(/^int fallocate\(/), expect.stringMatching(/^int64_t lseek\(/)])
  expect(await (await open(FILE)).punch(0, 10)).toEqual({ start: 0, end: 10 })
})

test('where there are none everything is data and nothing is punched', async () => {
  expect(await NO_HOLES.nextData(3, 9)).toEqual({ start: 3, end: 9 })
  expect(await NO_HOLES.punch(3, 9)).toBeNull()
  await NO_HOLES.allow()
  await NO_HOLES.close()
})
