/** In a checkout the window is built when it is not, or when its sources changed; packaged, it is complete. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { appRoot } from '../paths.ts'

/** The set-up's own step, in JavaScript without types because it runs before packages are installed. */
interface BuildStep {
  build(root: string): Promise<void>
}

/** @throws AppError `unavailable` with the compiler's words */
export async function buildWindow(): Promise<void> {
  const step = join(appRoot, 'bin/setup/build.mjs')
  if (!existsSync(step)) return
  const { build } = (await import(pathToFileURL(step).href)) as BuildStep
  await build(appRoot).catch((error: Error) => {
    throw new AppError(
      'unavailable',
      'The window could not be built. Run “npm start” once, then try again.',
      { technical: error.message },
      error,
    )
  })
}
