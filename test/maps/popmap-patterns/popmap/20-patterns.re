# expressions
^([a-m][^@]*)(@example\.com)?$:   $1@ingrid
^([n-z][^@]*)@([^.]*)\.net$   $1.$2@fritz:143
*@example.com  otto
