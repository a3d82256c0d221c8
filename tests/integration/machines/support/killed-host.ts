/** A host of its own process that does one thing and is killed in the middle, or at its end. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { tempFolder } from '../../../support/temp-folder.ts'
import type { HostOrder } from './host-child.ts'

const CHILD = join(import.meta.dirname, 'host-child.ts')

/**
 * @param killAfter ms from when the host begins with it; null: when it has ended
 * @returns how long it took, in ms; null: it was killed before
 */
export async function killedHost(order: HostOrder, killAfter: number | null): Promise<number | null> {
  const child = fork(CHILD, [JSON.stringify(order)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const diedBefore = exited.then((): never => {
    throw new Error('The host ended before it was killed.')
  })
  diedBefore.catch(() => {})
  const [first] = await Promise.race([once(child, 'message') as Promise<[string]>, diedBefore])
  expect(first).toBe('begins')
  const began = performance.now()
  const ended = once(child, 'message') as Promise<[string]>
  const last = await Promise.race([ended, diedBefore, ...(killAfter === null ? [] : [sleep(killAfter)])])
  const took = performance.now() - began
  child.kill('SIGKILL')
  await exited
  if (!last) return null
  expect(last[0]).toBe('done')
  return took
}

/** A library like this one, and a cache, for one host to be killed with. */
export async function copyForHost(template: string): Promise<{ library: string; cacheFolder: string }> {
  const root = await tempFolder()
  const library = join(root, 'library')
  await cp(template, library, { recursive: true, preserveTimestamps: true })
  const cacheFolder = join(root, 'cache')
  await mkdir(cacheFolder)
  return { library, cacheFolder }
}
