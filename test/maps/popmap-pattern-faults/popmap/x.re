(?=ann)@  fritz
^(a$  fritz
^a@  $1@fritz
^b@  x@$1
^c@  nobody
*@elsewhere.example  fritz
alone
^(.*)@example\.com$: $0@fritz
^[[.a.]]: fritz
