import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { connectLocal } from '../../local/connect.ts'
import { servicesOf } from '../services.ts'
import type { Define } from './index.ts'

/** How long a host may take to end after its machines were dealt with. */
const END_MS = 20_000

export const defineQuit: Define = (program, run) => {
  program
    .command('quit')
    .description('end Coppice’s host for the library; running machines are suspended')
    .option('--force', 'pull the plug of running machines instead')
    .action((options: { force?: boolean }) =>
      run(async (cli) => {
        const client = await connectLocal(cli.library, { anyVersion: true }).catch((error: unknown) => {
          if (error instanceof AppError && error.code === 'not-found') return null
          throw error
        })
        if (!client) {
          cli.output.result({ ended: false }, () => cli.output.line('No Coppice runs for this library.'))
          return
        }
        cli.store.add(client)
        const closed = new Promise<void>((resolve) => client.onClose(resolve))
        await servicesOf(client)
          .system.quit({ running: options.force ? 'powerOff' : 'suspend' })
          .catch((error: unknown) => {
            // It may be gone before its answer is.
            if (!(error instanceof AppError && error.code === 'disconnected')) throw error
          })
        const late = new AppError('timeout', `Coppice’s host did not end within ${END_MS / 1000} s.`)
        const limit = AbortSignal.timeout(END_MS)
        await Promise.race([closed, new Promise((_resolve, reject) => limit.addEventListener('abort', () => reject(late)))])
        cli.output.result({ ended: true }, () => cli.output.line('Coppice’s host has ended.'))
      }),
    )
}
