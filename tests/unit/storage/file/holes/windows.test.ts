import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type koffi from 'koffi'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  FSCTL_QUERY_ALLOCATED_RANGES,
  FSCTL_SET_SPARSE,
  FSCTL_SET_ZERO_DATA,
  windowsCalls,
  windowsHoles,
  type WindowsCalls,
} from '../../../../../src-main/storage/file/holes/windows.ts'
import { tempFolder } from '../../../../support/temp-folder.ts'

const GiB = 2 ** 30
const NOT_SUPPORTED = 50
const MORE_DATA = 234
const INVALID_PARAMETER = 87

type Control = (code: number, input: number[] | null, output: BigInt64Array | null) => { error: number; returned: number }

const DONE = { error: 0, returned: 0 }

async function holesWith(control: Control, options: { openError?: number; movedTo?: string } = {}) {
  const folder = await tempFolder()
  const path = join(folder, 'a.img')
  await writeFile(path, 'x')
  const file = await open(path, 'r+')
  onTestFinished(() => file.close())
  const closed: bigint[] = []
  const opened: boolean[] = []
  const calls: WindowsCalls = {
    open(_path, write) {
      opened.push(write)
      return options.openError === undefined ? { handle: 77n } : { error: options.openError }
    },
    control(handle, code, input, output) {
      expect(handle).toBe(77n)
      const numbers = input && [...new BigInt64Array(input.buffer)].map(Number)
      return Promise.resolve(control(code, numbers, output && new BigInt64Array(output.buffer)))
    },
    closeHandle: (handle) => void closed.push(handle),
  }
  const other = join(folder, 'other.img')
  await writeFile(other, 'y')
  const holes = await windowsHoles(calls, { file, path: options.movedTo === 'other' ? other : path, readOnly: false })
  return { holes: holes!, closed, opened }
}

function quietLog() {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => log.mockRestore())
  return log
}

describe('punching', () => {
  test('makes the file sparse once, then zeroes in pieces', async () => {
    const seen: unknown[] = []
    const { holes, opened, closed } = await holesWith((code, input) => (seen.push([code, input]), DONE))
    expect(await holes.punch(5, 1.5 * GiB)).toEqual({ start: 5, end: 1.5 * GiB })
    await holes.allow()
    await holes.close()
    expect(seen).toEqual([
      [FSCTL_SET_SPARSE, null],
      [FSCTL_SET_ZERO_DATA, [5, GiB + 5]],
      [FSCTL_SET_ZERO_DATA, [GiB + 5, 1.5 * GiB]],
    ])
    expect(opened).toEqual([true])
    expect(closed).toEqual([77n])
  })

  test('a volume without sparse files is asked once', async () => {
    const log = quietLog()
    const codes: number[] = []
    const { holes } = await holesWith((code) => (codes.push(code), { error: NOT_SUPPORTED, returned: 0 }))
    expect(await holes.punch(0, 10)).toBeNull()
    expect(await holes.punch(0, 10)).toBeNull()
    expect(codes).toEqual([FSCTL_SET_SPARSE])
    expect(log).toHaveBeenCalledTimes(1)
  })

  test('one that failed half-way tells what is done', async () => {
    let left = 1
    const { holes } = await holesWith((code) => (code === FSCTL_SET_ZERO_DATA && left-- === 0 ? { error: 5, returned: 0 } : DONE))
    expect(await holes.punch(0, 3 * GiB)).toEqual({ start: 0, end: GiB })
  })
})

describe('finding data', () => {
  const answer =
    (error: number, ...found: number[]): Control =>
    (code, input, output) => {
      expect([code, input]).toEqual([FSCTL_QUERY_ALLOCATED_RANGES, [100, 900]])
      found.forEach((value, at) => (output![at] = BigInt(value)))
      return { error, returned: found.length * 8 }
    }

  test.each([
    ['one range, cut to what was asked', answer(0, 64, 10_000), { start: 100, end: 1000 }],
    ['the first of several', answer(MORE_DATA, 200, 50), { start: 200, end: 250 }],
    ['none', answer(0), null],
    ['an error', answer(INVALID_PARAMETER), { start: 100, end: 1000 }],
    ['nonsense', answer(0, 5000, 10), { start: 100, end: 1000 }],
  ])('%s', async (_name, control, expected) => {
    const { holes } = await holesWith(control)
    expect(await holes.nextData(100, 1000)).toEqual(expected)
  })
})

describe('opening', () => {
  test('a file that cannot be opened again has no holes', async () => {
    quietLog()
    expect((await holesWith(() => DONE, { openError: 5 })).holes).toBeNull()
  })

  test('nor has one whose path leads to another file by now', async () => {
    quietLog()
    const { holes, closed } = await holesWith(() => DONE, { movedTo: 'other' })
    expect(holes).toBeNull()
    expect(closed).toEqual([77n])
  })
})

test('the calls of kernel32', async () => {
  const declared: string[] = []
  let failing = false
  const createFile = vi.fn((..._args: unknown[]) => (failing ? -1 : 300))
  const control = vi.fn((...args: unknown[]) => {
    ;(args[6] as Uint32Array)[0] = 16
    ;(args.at(-1) as (error: null, value: number) => void)(null, failing ? 0 : 1)
  })
  const functions: Record<string, unknown> = {
    CreateFileW: createFile,
    DeviceIoControl: { async: control },
    GetLastError: () => 234,
    CloseHandle: vi.fn(),
  }
  const library = {
    load: (name: string) => {
      expect(name).toBe('kernel32.dll')
      return { func: (text: string) => (declared.push(text), functions[/__stdcall (\w+)/.exec(text)![1]!]) }
    },
  } as unknown as typeof koffi
  const calls = windowsCalls(library)
  expect(calls.open('C:\\a.img', true)).toEqual({ handle: 300n })
  expect(calls.open('C:\\a.img', false)).toEqual({ handle: 300n })
  expect(createFile.mock.calls).toEqual([
    ['C:\\a.img', 0xc0000000, 7, null, 3, 0, 0],
    ['C:\\a.img', 0x80000000, 7, null, 3, 0, 0],
  ])
  const [input, output] = [new Uint8Array(16), new Uint8Array(16)]
  expect(await calls.control(300n, FSCTL_SET_ZERO_DATA, input, output)).toEqual({ error: 0, returned: 16 })
  expect(control.mock.calls[0]!.slice(0, 6)).toEqual([300n, FSCTL_SET_ZERO_DATA, input, 16, output, 16])
  failing = true
  expect(await calls.control(300n, FSCTL_SET_SPARSE, null, null)).toEqual({ error: 234, returned: 16 })
  expect(calls.open('C:\\none.img', true)).toEqual({ error: 234 })
  expect(declared).toHaveLength(4)
})
