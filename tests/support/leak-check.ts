/**
 * Finds what a test opened and did not dispose: disposables (through the tracker of src-shared/base/disposable.ts), and what keeps Node's event
 * loop busy: handles, requests, timers, worker threads. Call `withLeakCheck()` once in a describe block, or at the top of a file.
 */
import { createHook } from 'node:async_hooks'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect } from 'vitest'
import { setLeakTracker, type Disposable } from '../../src-shared/base/disposable.ts'

/** ms that the event loop gets to end what was closed: sockets and threads take a few turns. */
const PATIENCE = 3000
/** Kinds that come and go by themselves: file requests under way, the runner's own pipes. Timers are tracked one by one. */
const IGNORED = new Set(['FSReqCallback', 'FSReqPromise', 'CloseReq', 'TTYWrap', 'Immediate', 'Timeout'])

export interface LeakCheck {
  /** Fails when anything is open that was not open before. Waits for what is ending. */
  verify(): Promise<void>
}

/** Notes what is open now, and tracks disposables until `verify`. One at a time. */
export function startLeakCheck(): LeakCheck {
  const open = new Map<Disposable, string>()
  setLeakTracker({
    opened: (disposable) => open.set(disposable, new Error('opened here').stack ?? ''),
    closed: (disposable) => open.delete(disposable),
  })
  // The runner has timers of its own: only those that our code made count, and only those that keep the process alive.
  const timers = new Map<number, { timer: NodeJS.Timeout; stack: string }>()
  const hook = createHook({
    init(id, type, _trigger, resource) {
      const stack = type === 'Timeout' ? ourFrames(new Error('opened here').stack ?? '') : []
      if (stack.length > 0) timers.set(id, { timer: resource as NodeJS.Timeout, stack: stack[0]! })
    },
    destroy: (id) => timers.delete(id),
  }).enable()
  const threads = new Set<Worker>()
  const onThread = (worker: Worker): void => {
    threads.add(worker)
    worker.once('exit', () => threads.delete(worker))
  }
  process.on('worker', onThread)
  const before = resources()
  const left = (): string[] => [
    ...[...open.values()].map((stack) => `a disposable ${ourFrames(stack)[0] ?? stack}`),
    ...[...timers.values()].filter(({ timer }) => timer.hasRef()).map(({ stack }) => `a timer ${stack}`),
    ...[...threads].map(({ threadId }) => `thread ${threadId}`),
    ...more(resources(), before),
  ]
  return {
    async verify() {
      const start = performance.now()
      // What was opened a moment ago is seen a turn later.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      while (left().length > 0 && performance.now() - start < PATIENCE) await new Promise((resolve) => setTimeout(resolve, 10))
      setLeakTracker(null)
      hook.disable()
      process.off('worker', onThread)
      const leaks = left()
      expect(leaks, `Left open:\n${leaks.join('\n')}`).toEqual([])
    },
  }
}

/** Checks every test of this block: what it opens, it (or its onTestFinished, beforeEach and afterEach of inner blocks) disposes. */
export function withLeakCheck(): void {
  let check: LeakCheck
  beforeEach(() => {
    check = startLeakCheck()
  })
  afterEach(() => check.verify())
}

/** How many of each kind are active; threads and their ports are not among them. */
function resources(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) if (!IGNORED.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

function more(now: Map<string, number>, before: Map<string, number>): string[] {
  return [...now].flatMap(([kind, count]) => {
    const extra = count - (before.get(kind) ?? 0)
    return extra > 0 ? [`${extra} × ${kind}`] : []
  })
}

/** The lines of a stack that are in our sources or tests, from the opener outwards; none where the opener is this file. */
function ourFrames(stack: string): string[] {
  const lines = stack.split('\n').filter((line) => /\/(src-|tests\/)/.test(line) && !line.includes('/node_modules/'))
  const opener = lines.findIndex(
    (line) => !/\/base\/(disposable|event)\.ts/.test(line) && !/ (init|Object\.opened|AsyncHook\.init) /.test(line),
  )
  return opener < 0 || lines[opener]!.includes('/support/leak-check.ts') ? [] : lines.slice(opener).map((line) => line.trim())
}
