/** A secret from standard input: never an argument, which every user of the computer can see and shells remember. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AppError } from '../../../src-shared/errors/app-error.ts'

/**
 * One line. On a terminal it is asked for and not shown.
 * @param prompt "VNC password"
 * @throws AppError `cancelled` where the input ends first, or Ctrl-C is pressed
 */
export function readSecret(
  prompt: string,
  input: NodeJS.ReadStream = process.stdin,
  output: NodeJS.WriteStream = process.stderr,
): Promise<string> {
  const terminal = input.isTTY === true
  if (terminal) output.write(`${prompt}: `)
  // What readline would echo goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input, output: nowhere, terminal })
  return new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    lines.once('SIGINT', () => lines.close())
    lines.once('close', () => reject(AppError.cancelled()))
  }).finally(() => {
    lines.close()
    if (terminal) output.write('\n')
  })
}
