/** Long work of the storage thread as part of a task: its progress is the task's, and so is its cancel. */
import { newId } from '../../../src-shared/base/ids.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'

/**
 * @param call one of the thread's calls that take a `job`
 * @throws what the call throws; `cancelled` at once when the task is cancelled, while the thread still cleans up
 */
export function storageJob<T>(
  storage: Pick<SharedThread, 'use'>,
  context: Pick<TaskContext, 'signal' | 'progress'>,
  call: (service: Client<typeof storageThread>, job: string, options: { signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  return storage.use(async ({ rpc }) => {
    const service = rpc.service(storageThread)
    const job = newId()
    const progress = service.progress((now) => {
      if (now.job === job) context.progress(now.done, now.total, 'bytes')
    })
    try {
      return await call(service, job, { signal: context.signal })
    } finally {
      progress.dispose()
    }
  })
}
