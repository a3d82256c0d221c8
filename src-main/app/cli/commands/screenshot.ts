import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { concatBytes } from '../../../../src-shared/base/bytes.ts'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { Define } from './index.ts'

export const defineScreenshot: Define = (program, run) => {
  program
    .command('screenshot')
    .description('save what is on a machine’s screen as a picture')
    .argument('<name>', 'a machine’s name or id')
    .argument('<file>', 'where to write the picture (PNG); a file of that name is replaced')
    .action((name: string, file: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        const { opening, stream } = await host.machines.screenshot({ id })
        const parts: Uint8Array[] = []
        for await (const bytes of stream) parts.push(bytes)
        const png = concatBytes(parts)
        if (png.length !== opening.bytes) throw new AppError('disconnected', 'The host went away in the middle of the picture. Try again.')
        const path = resolve(file)
        try {
          await writeFile(path, png)
        } catch (error) {
          throw asAppError(error, 'Writing the picture')
        }
        cli.output.result({ id, file: path, bytes: png.length }, () => cli.output.line(`${path} (${formatBytes(png.length)})`))
      }),
    )
}
