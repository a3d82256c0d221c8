import { addressArgument, wholeNumber } from '../arguments.ts'
import type { Define } from './index.ts'

export const defineServe: Define = (program, run) => {
  program
    .command('serve')
    .description('show the window in a browser: prints its address, and serves it until Ctrl-C')
    .option('--port <number>', 'port to listen on; 0 is any free one', wholeNumber('a port', 0, 65535), 0)
    .option('--listen <address>', 'address to listen on', addressArgument, '127.0.0.1')
    .option('--allow-terminal', 'let the window open terminals on this computer')
    .action((options: { port: number; listen: string; allowTerminal?: boolean }) =>
      run(async (cli) => {
        // The whole host is behind this import.
        const { serveWindow } = await import('../serve-window.ts')
        await serveWindow(cli, { ...options, allowTerminal: options.allowTerminal === true })
      }),
    )
}
