/* A chat in one group, with the original's C library.
 *
 *   cc -o chat chat.c -lspread && ./chat alice chat 4803@localhost
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sp.h>

#define MOST_MEMBERS 100
#define MOST_BYTES 100000

static mailbox box;

static void check(int result)
{
    if (result < 0) {
        SP_error(result);
        exit(1);
    }
}

/* One message or membership change. */
static void show(void)
{
    static char body[MOST_BYTES];
    static char members[MOST_MEMBERS][MAX_GROUP_NAME];
    char sender[MAX_GROUP_NAME];
    service kind = DROP_RECV; /* what doesn't fit is cut off, and told below */
    int count, other_byte_order;
    int16 mess_type;
    int length = SP_receive(box, &kind, sender, MOST_MEMBERS, &count, members, &mess_type,
                            &other_byte_order, sizeof body, body);

    if (length == GROUPS_TOO_SHORT || length == BUFFER_TOO_SHORT) {
        printf("(a message was too long)\n");
        return;
    }
    check(length);
    if (Is_regular_mess(kind)) {
        printf("%s: %.*s\n", sender, length, body);
    } else if (Is_reg_memb_mess(kind)) {
        printf("members of %s:", sender);
        for (int i = 0; i < count; i++)
            printf(" %s", members[i]);
        printf("\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: chat USER GROUP [PORT@HOST]\n");
        return 2;
    }
    const char *group = argv[2], *address = argc > 3 ? argv[3] : "4803@localhost";
    char own_name[MAX_GROUP_NAME], line[4096];
    int result = SP_connect(address, argv[1], 0, 1, &box, own_name);
    if (result != ACCEPT_SESSION) {
        SP_error(result);
        return 1;
    }
    printf("connected as %s\n", own_name);
    check(SP_join(box, group));

    struct pollfd waits[2] = {{.fd = 0, .events = POLLIN}, {.fd = box, .events = POLLIN}};
    setvbuf(stdin, NULL, _IONBF, 0); /* so that poll sees every line */
    while (poll(waits, 2, -1) > 0) {
        if (waits[1].revents)
            show();
        if (waits[0].revents) {
            if (!fgets(line, sizeof line, stdin))
                break;
            line[strcspn(line, "\n")] = 0;
            check(SP_multicast(box, AGREED_MESS, group, 0, (int)strlen(line), line));
        }
    }
    check(SP_leave(box, group));
    SP_disconnect(box);
    return 0;
}
