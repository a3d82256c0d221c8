import { AppError } from '../../../src-shared/errors/app-error.ts'

/** A fault of v86 as people read it; its cause is kept for the details. */
export function trapped(error: unknown): AppError {
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return new AppError(
    'crashed',
    `The embedded engine failed while it ran this machine (${reason}). The machine was stopped; its disks are as the guest last wrote them. Start it again.`,
    { technical: error instanceof Error ? (error.stack ?? reason) : reason },
    error,
  )
}
