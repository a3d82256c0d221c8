/** Why the host does not listen where a forward says, in a sentence with what to do. */
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'

export function listenError(error: NodeJS.ErrnoException, protocol: 'tcp' | 'udp', address: string, port: number): AppError {
  const what = `${protocol.toUpperCase()} port ${port} of ${address}`
  const technical = { technical: error.message, subject: `${address}:${port}` }
  switch (error.code) {
    case 'EADDRINUSE':
      return new AppError(
        'unavailable',
        `${what} is used by another program. Choose another port of this computer, or end that program.`,
        technical,
        error,
      )
    case 'EACCES':
    case 'EPERM':
      return port < 1024
        ? new AppError(
            'denied',
            `${what} may not be listened on: ports below 1024 are for administrators. Choose one from 1024 on, such as ${port + 8000}.`,
            technical,
            error,
          )
        : new AppError(
            'denied',
            `The system does not let Coppice listen on ${what}. Choose another port of this computer.`,
            technical,
            error,
          )
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return new AppError(
        'unavailable',
        `No network card of this computer has the address ${address}. Choose 127.0.0.1, or 0.0.0.0 for all.`,
        technical,
        error,
      )
    default:
      return asAppError(error, `Listening on ${what}`)
  }
}
