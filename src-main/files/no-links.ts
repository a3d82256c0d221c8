/**
 * What systems answer to link(2) where a file cannot have a second name: FAT, some network folders. (EISDIR is libuv's word for Windows'
 * ERROR_INVALID_FUNCTION.)
 */
export const NO_LINKS: readonly string[] = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK', 'EISDIR', 'UNKNOWN']
