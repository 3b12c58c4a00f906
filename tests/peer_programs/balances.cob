      * A COBOL program that knows one customer. It answers inquiries
      * and changes of the balance, records in and records out, and
      * does its sums in packed decimal.
      *
      * Text stays in the code page in which it came: this machine's is
      * ASCII, so transaction codes are compared as hexadecimal, and
      * names are moved and never looked into.
       IDENTIFICATION DIVISION.
       PROGRAM-ID. BALANCES.
       ENVIRONMENT DIVISION.
       INPUT-OUTPUT SECTION.
       FILE-CONTROL.
           SELECT REQUESTS ASSIGN TO "REQUESTS"
               ORGANIZATION SEQUENTIAL.
           SELECT REPLIES ASSIGN TO "REPLIES"
               ORGANIZATION SEQUENTIAL.
       DATA DIVISION.
       FILE SECTION.
       FD  REQUESTS RECORD IS VARYING IN SIZE FROM 4 TO 200
           DEPENDING ON REQUEST-SIZE.
       01  REQUEST-BYTES       PIC X(200).
       FD  REPLIES RECORD IS VARYING IN SIZE FROM 4 TO 200
           DEPENDING ON REPLY-SIZE.
       01  REPLY-BYTES         PIC X(200).
       WORKING-STORAGE SECTION.
       COPY "shop.cpy".
       01  REQUEST-SIZE        PIC 9(4) COMP.
       01  REPLY-SIZE          PIC 9(4) COMP.
       01  AT-END              PIC X VALUE "N".
       PROCEDURE DIVISION.
       MAIN-LINE.
           OPEN INPUT REQUESTS.
           OPEN OUTPUT REPLIES.
           PERFORM NEXT-REQUEST UNTIL AT-END = "Y".
           CLOSE REQUESTS REPLIES.
           STOP RUN.
       NEXT-REQUEST.
           READ REQUESTS AT END MOVE "Y" TO AT-END
               NOT AT END PERFORM ANSWER.
       ANSWER.
           EVALUATE REQUEST-BYTES(1:4)
      *        CADD: remember the customer.
               WHEN X"C3C1C4C4"
                   MOVE REQUEST-BYTES TO ADD-REQUEST
                   MOVE CORRESPONDING ADD-REQUEST TO CUSTOMER-REPLY
                   PERFORM SEND-CUSTOMER
      *        CUPD: add to the balance.
               WHEN X"C3E4D7C4"
                   MOVE REQUEST-BYTES TO UPDATE-REQUEST
                   ADD CHANGE TO CUST-BALANCE OF CUSTOMER-REPLY
                   PERFORM SEND-CUSTOMER
      *        CINQ: tell.
               WHEN X"C3C9D5D8"
                   PERFORM SEND-CUSTOMER
           END-EVALUATE.
       SEND-CUSTOMER.
           MOVE X"C3E4E2E3" TO REC-TYPE OF CUSTOMER-REPLY.
           MOVE LENGTH OF CUSTOMER-REPLY TO REPLY-SIZE.
           MOVE CUSTOMER-REPLY TO REPLY-BYTES.
           WRITE REPLY-BYTES.
