/**
 * Windows: control codes of NTFS and ReFS ([MS-FSCC] 2.3). Node's files are numbers of its own C library, not the system's handles, so the file is opened
 * a second time by its path, shared with everybody; that it is the same file is checked. A file must be made sparse before it can have holes.
 */
import { stat } from 'node:fs/promises'
import { resolve, toNamespacedPath } from 'node:path'
import type koffi from 'koffi'
import type { HoleFile, Holes, Run } from './holes.ts'
import { Ability } from './ability.ts'
import { threaded } from './threaded-call.ts'

export const FSCTL_SET_SPARSE = 0x000900c4
export const FSCTL_SET_ZERO_DATA = 0x000980c8
export const FSCTL_QUERY_ALLOCATED_RANGES = 0x000940cf
const ERROR_MORE_DATA = 234
const GENERIC_READ = 0x80000000
const GENERIC_WRITE = 0x40000000
/** FILE_SHARE_READ, _WRITE and _DELETE: nobody is kept from anything. */
const SHARE_ALL = 0x1 | 0x2 | 0x4
const OPEN_EXISTING = 3
/** Bytes of two numbers of 64 bits, which is what all three codes speak in: offset and end for zeroes, offset and length for ranges. */
const RANGE_SIZE = 16
/** Bytes punched at once: meanwhile nobody reads or writes the file. */
const PIECE = 2 ** 30

type Handle = bigint

/** Errors are the system's numbers. */
export interface WindowsCalls {
  /** CreateFileW of an existing file, shared with everybody. */
  open(path: string, write: boolean): { handle: Handle } | { error: number }
  /** DeviceIoControl; `error` 0 when it was done, `returned` bytes of `output` that were filled. */
  control(handle: Handle, code: number, input: Uint8Array | null, output: Uint8Array | null): Promise<{ error: number; returned: number }>
  closeHandle(handle: Handle): void
}

/** @throws Error when kernel32 cannot be called */
export function windowsCalls(library: typeof koffi): WindowsCalls {
  const kernel = library.load('kernel32.dll')
  const lastError = kernel.func('uint32_t __stdcall GetLastError()') as unknown as () => number
  const createFile = kernel.func(
    'intptr_t __stdcall CreateFileW(str16 name, uint32_t access, uint32_t share, void *security, uint32_t how, uint32_t flags, intptr_t template)',
  )
  const deviceIoControl = threaded(
    kernel.func(
      'int __stdcall DeviceIoControl(intptr_t file, uint32_t code, void *in, uint32_t inSize, void *out, uint32_t outSize, void *returned, void *overlapped)',
    ),
    lastError,
  )
  const closeHandle = kernel.func('int __stdcall CloseHandle(intptr_t handle)')
  return {
    open(path, write) {
      const access = write ? GENERIC_READ + GENERIC_WRITE : GENERIC_READ
      const handle = BigInt(createFile(path, access, SHARE_ALL, null, OPEN_EXISTING, 0, 0) as number | bigint)
      return handle === -1n ? { error: lastError() } : { handle }
    },
    async control(handle, code, input, output) {
      const returned = new Uint32Array(1)
      const inSize = input?.length ?? 0
      const outSize = output?.length ?? 0
      const { value, error } = await deviceIoControl(handle, code, input, inSize, output, outSize, returned, null)
      return { error: value === 0 ? error : 0, returned: returned[0]! }
    },
    closeHandle: (handle) => void closeHandle(handle),
  }
}

/** @returns the holes of a file, null when it cannot be opened again: then the reason is in the log */
export async function windowsHoles(calls: WindowsCalls, { file, path, readOnly }: HoleFile): Promise<Holes | null> {
  const ability = new Ability(path)
  const opened = calls.open(toNamespacedPath(resolve(path)), !readOnly)
  if ('error' in opened) {
    ability.lost(opened.error)
    return null
  }
  const { handle } = opened
  const [ours, there] = await Promise.all([file.stat({ bigint: true }), stat(path, { bigint: true }).catch(() => null)])
  if (ours.dev !== there?.dev || ours.ino !== there.ino) {
    calls.closeHandle(handle)
    console.error(`“${path}” was moved while it was opened: no holes are made in it.`)
    return null
  }
  let sparse: Promise<void> | null = null
  const makeSparse = (): Promise<void> =>
    (sparse ??= calls.control(handle, FSCTL_SET_SPARSE, null, null).then(({ error }) => {
      if (error !== 0) ability.lost(error)
    }))
  return {
    async punch(start, end) {
      await makeSparse()
      let at = start
      while (at < end && ability.has) {
        const next = Math.min(at + PIECE, end)
        const { error } = await calls.control(handle, FSCTL_SET_ZERO_DATA, range(at, next), null)
        if (error !== 0) break
        at = next
      }
      return at > start ? { start, end: at } : null
    },
    async nextData(start, end) {
      const all: Run = { start, end }
      // Room for one range: that there are more is not an error.
      const found = new Uint8Array(RANGE_SIZE)
      const { error, returned } = await calls.control(handle, FSCTL_QUERY_ALLOCATED_RANGES, range(start, end - start), found)
      if (error !== 0 && error !== ERROR_MORE_DATA) return all
      if (returned < RANGE_SIZE) return error === 0 ? null : all
      const view = new DataView(found.buffer)
      const first = Math.max(start, Number(view.getBigInt64(0, true)))
      const last = Math.min(end, Number(view.getBigInt64(0, true) + view.getBigInt64(8, true)))
      return first < last ? { start: first, end: last } : all
    },
    allow: makeSparse,
    close: () => Promise.resolve(calls.closeHandle(handle)),
  }
}

function range(first: number, second: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(RANGE_SIZE))
  view.setBigInt64(0, BigInt(first), true)
  view.setBigInt64(8, BigInt(second), true)
  return new Uint8Array(view.buffer)
}
