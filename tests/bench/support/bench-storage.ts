/** The storage thread as the host has it, without the host, and what measures of images need. */
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { SharedThread } from '../../../src-main/host/threads/shared-thread.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'

export interface BenchStorage {
  service: Client<typeof storageThread>
  close(): Promise<void>
}

export function benchStorage(): BenchStorage {
  const thread = new SharedThread('storage', { info: () => {}, warn: () => {}, error: () => {}, dispose: () => {} })
  const lease = thread.lease()
  return { service: lease.thread.rpc.service(storageThread), close: () => thread.close() }
}

const run = promisify(execFile)

export async function qemuImg(...args: string[]): Promise<void> {
  await run('qemu-img', args)
}

/** What others wrote to it before is on the disk: it does not slow down what is measured next. */
export async function settled(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** ms */
export async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

/** `count` requests, `depth` of them under way at any time. */
export async function atDepth(depth: number, count: number, request: (slot: number) => Promise<void>): Promise<void> {
  let left = count
  const worker = async (slot: number): Promise<void> => {
    while (left-- > 0) await request(slot)
  }
  await Promise.all(Array.from({ length: depth }, (_, slot) => worker(slot)))
}
