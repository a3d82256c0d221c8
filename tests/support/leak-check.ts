/**
 * Finds what a test opened and did not dispose: disposables (through the tracker of src-shared/base/disposable.ts), and what keeps Node's event
 * loop busy: handles, requests, timers, worker threads. Call `withLeakCheck()` once in a describe block, or at the top of a file.
 */
import { afterEach, beforeEach, expect } from 'vitest'
import { setLeakTracker, type Disposable } from '../../src-shared/base/disposable.ts'

/** ms that the event loop gets to end what was closed: sockets and threads take a few turns. */
const PATIENCE = 3000
/** Kinds that come and go by themselves: file requests under way, and the test runner's own pipes. */
const IGNORED = new Set(['FSReqCallback', 'FSReqPromise', 'CloseReq', 'TTYWrap', 'Immediate'])

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
  const before = resources()
  return {
    async verify() {
      const start = performance.now()
      let left = more(resources(), before)
      while ((left.length > 0 || open.size > 0) && performance.now() - start < PATIENCE) {
        await new Promise((resolve) => setTimeout(resolve, 10))
        left = more(resources(), before)
      }
      setLeakTracker(null)
      expect([...open.values()].map(openedAt), 'disposables that nobody disposed').toEqual([])
      expect(left, 'resources that were left open').toEqual([])
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

/** How many of each kind are active; threads are "MessagePort" and "Worker". */
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

/** The first line of our own in a stack. */
function openedAt(stack: string): string {
  const lines = stack.split('\n').filter((line) => line.includes('/src-') || line.includes('/tests/'))
  return (lines.find((line) => !/base\/(disposable|event)\.ts|leak-check\.ts/.test(line)) ?? lines[0] ?? stack).trim()
}
